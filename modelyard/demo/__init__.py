"""`make demo`: the main job once, on a platform of its own that is gone afterwards."""
