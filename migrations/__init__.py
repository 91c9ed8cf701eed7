"""The schema's history. `modelyard up` applies it at start; the tests make their database from it."""
