"""Identity of processes: pid and start time name a process for ever; the system reuses a pid alone."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    started: str
    """Start time in the system's own format, the boot of the machine included."""

    def is_running(self) -> bool:
        return identify(self.pid) == self


def identify(pid: int) -> Process | None:
    """Return the process with the pid now; None for a free pid and for a zombie."""
    started = _started_linux(pid) if _is_linux() else _started_ps(pid)
    return None if started is None else Process(pid, started)


def children(pid: int) -> list[int]:
    parents = _parents_linux() if _is_linux() else _parents_ps()
    return [child for child, parent in parents if parent == pid]


def _is_linux() -> bool:
    return sys.platform.startswith("linux")


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the third on: state, parent, …"""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses; the name may hold spaces and parentheses too.
    return text.rpartition(")")[2].split()


def _started_linux(pid: int) -> str | None:
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{fields[19]}"


def _parents_linux() -> list[tuple[int, int]]:
    pids = [int(name) for name in os.listdir(_PROC) if name.isdigit()]
    return [(pid, int(fields[1])) for pid in pids if (fields := _stat(pid)) is not None]


def _started_ps(pid: int) -> str | None:
    columns = _ps("-o", "stat=,lstart=", "-p", str(pid)).split(maxsplit=1)
    return None if len(columns) < 2 or columns[0].startswith("Z") else columns[1].strip()


def _parents_ps() -> list[tuple[int, int]]:
    lines = (line.split() for line in _ps("-axo", "pid=,ppid=").splitlines())
    return [(int(pid), int(parent)) for pid, parent in lines]


def _ps(*arguments: str) -> str:
    done = subprocess.run(["/bin/ps", *arguments], capture_output=True, text=True, check=False)
    return done.stdout
