"""Resolving, installing and checking: the programs that make an environment, and how they are told."""
