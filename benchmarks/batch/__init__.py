"""Batch scoring beside `mlflow models predict` and a loop of one's own."""
