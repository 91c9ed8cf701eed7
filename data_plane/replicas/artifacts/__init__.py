"""Bundles, model files and environments on this machine."""
