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
    pyenv = Path.home() / ".pyenv"
    installed = (path for version in SUPPORTED for path in pyenv.glob(f"versions/{version}.*/bin/python"))
    on_path = (Path(name) for version in SUPPORTED if (name := shutil.which(f"python{version}")))
    # A shim starts one of the installed versions, with a shell script.
    named = (path for path in on_path if not path.is_relative_to(pyenv / "shims"))
    return [path for path in (*installed, *named) if _version(path)]


@functools.cache
def _version(path: Path) -> str:
    """Return an empty text for an interpreter that does not run."""
    asked = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-I", "-S", "-c", asked], capture_output=True, text=True, check=False)
    match = re.fullmatch(r"cpython (3\.\d+)", done.stdout.strip())
    return match[1] if match else ""
