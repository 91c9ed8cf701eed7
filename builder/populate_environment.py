"""Populate an environment's folder: packages by an installer, bytecode, and read access for model workers."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from builder.build_run import BuildRun
from builder.supervised_process import run_supervised
from modelyard.core.adapters.file_access import make_readable

_TESTS = r"/tests/"


def populate_environment(folder: Path, install: Callable[[], None], *, worker_user: int | None, run: BuildRun) -> None:
    """Run `install` to make the environment in `folder`; then compile the packages and make the folder readable."""
    started = time.monotonic()
    install()
    _compile_bytecode(folder, run)
    if worker_user is not None:
        make_readable(folder)
    run.log.line(f"installed in {time.monotonic() - started:.1f} s")


def _compile_bytecode(environment: Path, run: BuildRun) -> None:
    """Compile the packages: model workers cannot write into the environment, and would compile at each start.

    uv could compile, but includes the packages' tests, a quarter of all files. Files that do not compile (templates,
    Python 2) stay uncompiled.
    """
    packages = environment.glob("lib/python3.*/site-packages")
    run_supervised(
        [environment / "bin" / "python", "-I", "-m", "compileall", "-qq", "-j", "0", "-x", _TESTS, *packages],
        environ={"PATH": os.defpath, "LANG": "C.UTF-8"},
        cwd=environment,
        run=run,
    )
