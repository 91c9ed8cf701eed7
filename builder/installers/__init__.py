"""Installers: resolve an environment spec to an exact lock, and install a lock into a folder."""
