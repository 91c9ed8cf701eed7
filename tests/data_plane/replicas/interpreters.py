"""The supported CPython interpreters of the machine."""

import functools
import re
import shutil
import subprocess
import sys
from pathlib import Path

SUPPORTED = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")


@functools.cache
def interpreters() -> dict[str, Path]:
    """Return an interpreter for each supported minor version; at least the interpreter of the tests."""
    found = {_version(path): path for path in _candidates()}
    found[_version(Path(sys.executable))] = Path(sys.executable)
    return {version: found[version] for version in SUPPORTED if version in found}


def _candidates() -> list[Path]:
    installed = Path.home().glob(".pyenv/versions/*/bin/python")
    on_path = (shutil.which(f"python{version}") for version in SUPPORTED)
    return [path for path in [*installed, *(Path(name) for name in on_path if name)] if _version(path)]


def _version(path: Path) -> str:
    """Return an empty text for an interpreter that does not run, such as a pyenv shim without a version."""
    asked = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-I", "-S", "-c", asked], capture_output=True, text=True, check=False)
    match = re.fullmatch(r"cpython (3\.\d+)", done.stdout.strip())
    return match[1] if match else ""
