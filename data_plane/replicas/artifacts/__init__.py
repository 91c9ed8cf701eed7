"""Bundles, model files and environments on the node, fetched from the object store: used by host and batch alike."""
