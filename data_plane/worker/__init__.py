"""The guest worker: the only code of ours that runs inside a model's own environment.

It promises to bring nothing and to disturb nothing: standard library only (pandas and numpy are imported when a payload
needs them, because the model brought them), Python 3.8 grammar, one package that leaves `sys.path` before the user's
code loads, and a protocol on private descriptors that user code cannot print into. What it is told and what it answers
is in `frames.py` and docs/worker-protocol.md.
"""
