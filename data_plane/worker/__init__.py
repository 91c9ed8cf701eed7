"""The model worker: the only code of the platform inside a model's own environment.

The worker does not change the environment: standard library only (payloads use the model's pandas and numpy), Python
3.8 grammar, a single package, gone from `sys.path` before the user's code loads, and a protocol on private descriptors,
out of reach for prints of user code.

The main thread runs the user's code (`scorer.py`, `script.py`) and talks to the platform (`channel.py`); the io thread
talks to the platform while the user's code runs for long.
Imports are relative, because the package has another name in the archive.
"""
