"""Virtual environments for the tests' own programs, created once and kept for later runs outside the checkout.

The hash of interpreter and requirements names an environment. The file `complete` lists the installed packages; an
environment with other packages than the list, or without a working interpreter, is created anew.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelyard-tests"
_UV = (sys.executable, "-m", "uv", "--no-progress", "--quiet")


def cached_environment(interpreter: str | Path, requirements: Sequence[str]) -> Path:
    """The python of the environment, created by the first of several test processes.

    `interpreter` is a path, or a version that uv finds or fetches.
    """
    if Path(interpreter).exists():
        # The python of a checkout's virtual environment is a link to an interpreter that all checkouts share.
        interpreter = Path(interpreter).resolve()
    key = "\n".join([str(interpreter), *requirements])
    folder = CACHE / "environments" / hashlib.sha256(key.encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_intact(folder):
            _create(folder, interpreter, requirements)
    return folder / "bin" / "python"


def _create(folder: Path, interpreter: str | Path, requirements: Sequence[str]) -> None:
    subprocess.run([*_UV, "venv", "--clear", "--python", interpreter, folder], check=True)
    python = folder / "bin" / "python"
    install = ("pip", "install", "--compile-bytecode", "--python", python)
    subprocess.run([*_UV, *install, *requirements], check=True)
    (folder / "complete").write_text(_packages(folder))


def _is_intact(folder: Path) -> bool:
    complete = folder / "complete"
    return complete.exists() and complete.read_text() == _packages(folder)


def _packages(folder: Path) -> str:
    """Name and version of each package; empty when the interpreter does not run."""
    listed = subprocess.run(
        [*_UV, "pip", "freeze", "--python", folder / "bin" / "python"], capture_output=True, text=True, check=False
    )
    return listed.stdout
