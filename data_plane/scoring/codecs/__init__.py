"""The scoring protocols of every endpoint, one module or folder each, behind the port `port.py`."""
