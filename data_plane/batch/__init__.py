"""Batch endpoints' jobs: files of the object store to predictions, exactly once and in order."""
