"""Scoring by the guest workers of this machine, over their Unix sockets.

`conversation.py` is one open connection, `worker_link.py` keeps one open to each worker, and `local_target.py` decides
which request goes to which worker, when, and what becomes of it when the worker dies.
"""
