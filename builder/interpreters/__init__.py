"""Pythons for models: found on the machine, fetched by uv, and readable by the user that workers run as."""
