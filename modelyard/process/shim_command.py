"""The command line of a program under the process shim."""

import sys

from modelyard.process import shim


def shim_command(lifeline: int, *options: str) -> list[str]:
    """Return the shim's command line; append "--" and the program. `lifeline` is the pipe's read end.

    `-I -S` keeps the caller's environment variables and site packages out of the shim, which may run as root.
    """
    return [sys.executable, "-I", "-S", shim.__file__, "--lifeline", str(lifeline), *options]
