"""Compiles what was installed, because workers cannot write into an environment and would each do it at every start.

Not by uv, which compiles the packages' own tests too: a quarter of all files.
"""

import os
from collections.abc import Callable
from pathlib import Path

from builder.supervised_process import CancellationToken, run

_TESTS = r"/tests/"


def compile_bytecode(environment: Path, *, alive: CancellationToken, say: Callable[[str], None]) -> None:
    """Files that do not compile (templates, Python 2) are left as they are."""
    packages = environment.glob("lib/python3.*/site-packages")
    run(
        [environment / "bin" / "python", "-I", "-m", "compileall", "-qq", "-j", "0", "-x", _TESTS, *packages],
        environ={"PATH": os.defpath, "LANG": "C.UTF-8"},
        cwd=environment,
        alive=alive,
        on_line=say,
    )
