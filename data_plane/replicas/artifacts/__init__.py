"""Bundles, model files and environments on this node, fetched from the object store: used by host and batch alike."""
