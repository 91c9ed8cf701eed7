"""The model worker: the only code of ours that runs inside a model's own environment.

It promises to bring nothing and to disturb nothing: standard library only (pandas and numpy are looked for when
a payload needs them, because the model brought them), Python 3.8 grammar, one package that leaves `sys.path`
before the user's code loads, and a protocol on private descriptors that user code cannot print into.

The main thread runs the user's code (`main.py`, `script.py`), the io thread speaks with the platform
(`channel.py`). The modules import each other relatively, because in the archive that workers run the package has
a name of its own.
"""
