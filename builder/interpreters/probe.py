"""Probe executables: a file named python may be a shim without an interpreter behind."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """
import json, os, sys, sysconfig
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "final": sys.version_info[3] == "final",
    "implementation": sys.implementation.name,
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "executable": os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable),
    "prefix": os.path.realpath(sys.base_prefix),
}))
"""
_TIMEOUT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Interpreter:
    executable: Path
    """Absolute, and resolved through links, shims and virtual environments."""
    version: str
    """Full version, "3.10.13"."""
    prefix: Path

    @property
    def minor(self) -> str:
        return self.version.rpartition(".")[0]

    @property
    def release(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))


def probe(executable: Path, *, user: int | None = None) -> Interpreter | None:
    """Run `executable` as the user id `user` and return the interpreter. None: not a working release of CPython."""
    try:
        answer = subprocess.run(
            [executable, "-I", "-c", _SCRIPT],
            env={"PATH": os.defpath, "HOME": str(Path.home()), "LANG": "C.UTF-8"},
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        return _interpreter(json.loads(answer.stdout))
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def _interpreter(answer: dict[str, str]) -> Interpreter | None:
    if answer["implementation"] != "cpython" or not answer["final"] or answer["free_threaded"]:
        return None
    return Interpreter(Path(answer["executable"]), answer["version"], Path(answer["prefix"]))


class ProbeCache:
    """Keeps the result of each probe until the file changes."""

    def __init__(self) -> None:
        self._answers: dict[tuple[Path, int], Interpreter | None] = {}

    def probe(self, executable: Path) -> Interpreter | None:
        try:
            key = (executable, executable.stat().st_mtime_ns)
        except OSError:
            return None
        if key not in self._answers:
            self._answers[key] = probe(executable)
        return self._answers[key]
