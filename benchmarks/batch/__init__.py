"""Batch scoring compared with `mlflow models predict` and a hand-written pandas loop."""
