"""Pythons for model environments: found on the machine or fetched, and readable by the user of model workers."""
