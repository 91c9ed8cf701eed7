"""Ends processes that a model left behind when its process shim was killed: daemons have no other parent then.

The platform's mark, a limit that the sandbox keeps every process from changing, and the deployments' users tell a
model's processes from others. A marked process below a process shim belongs to a worker.
"""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from data_plane.replicas.local.processes import identify
from modelyard.process import shim
from modelyard.process.sandbox import mark

_log = logging.getLogger(__name__)

_SHIM = b"/" + os.path.basename(str(shim.__file__)).encode()
_PROC = Path("/proc")
_ROUNDS = 50
_PAUSE_SECONDS = 0.02
_LIMIT_LINE = "Max msgqueue size"


@dataclass(frozen=True, slots=True)
class _Process:
    pid: int
    parent: int
    is_marked: bool


def end_orphans(platform: str, numbers: Collection[int] = ()) -> int:
    """Kill every process of the platform's models without a process shim. Return the number of killed processes.

    `platform` is the path of the data dir, `numbers` are the users of the deployments. Systems without /proc have none.
    """
    killed = 0
    # A process may fork before its kill. A process in the kernel's hands may take a while to end.
    for _ in range(_ROUNDS):
        orphans = list(_orphans(platform, numbers))
        if not orphans:
            break
        for process in orphans:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
        time.sleep(_PAUSE_SECONDS)
    if killed:
        _log.warning("killed %s processes that a model left behind", killed)
    return killed


def _orphans(platform: str, numbers: Collection[int]) -> Iterator[_Process]:
    processes = {process.pid: process for process in _processes(mark(platform)["RLIMIT_MSGQUEUE"], numbers)}
    for process in processes.values():
        if process.is_marked and not _is_below_shim(process, processes) and identify(process.pid) is not None:
            yield process


def _processes(wanted: int, numbers: Collection[int]) -> Iterator[_Process]:
    if not _PROC.is_dir():
        return
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
                is_marked = folder.stat().st_uid in numbers or _limit(folder) == wanted
            except OSError:
                continue
            yield _Process(int(folder.name), parent, is_marked)


def _limit(folder: Path) -> int | None:
    for line in (folder / "limits").read_text().splitlines():
        if line.startswith(_LIMIT_LINE):
            hard = line[len(_LIMIT_LINE) :].split()[1]
            return int(hard) if hard.isdigit() else None
    return None


def _is_below_shim(process: _Process, processes: dict[int, _Process]) -> bool:
    ancestor = processes.get(process.parent)
    while ancestor is not None and ancestor.is_marked:
        ancestor = processes.get(ancestor.parent)
    if ancestor is None:
        return False
    try:
        command = (_PROC / str(ancestor.pid) / "cmdline").read_bytes()
    except OSError:
        return False
    # A shim of another version lies in another folder.
    return any(argument.endswith(_SHIM) for argument in command.split(b"\0"))
