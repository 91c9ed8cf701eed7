"""Shared by all long-running processes: start, logging, files, signals and shutdown."""
