"""CPU time and memory of processes, read from Linux's /proc."""

import os
import time
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _SYSTEM, _STARTED = 1, 11, 12, 19
_FORGET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes. Resident counts shared pages for each process; proportional divides shared pages among processes."""

    resident: float
    proportional: float


def tree(root: int) -> list[int]:
    """Return `root` and all descendants."""
    children: dict[int, list[int]] = {}
    for pid in _running():
        with suppress(OSError):
            children.setdefault(int(_stat(pid)[_PARENT]), []).append(pid)
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the sum of user and system time. An ended process counts as zero."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            stat = _stat(pid)
            ticks += int(stat[_USER]) + int(stat[_SYSTEM])
    return ticks / _TICKS


def cpu_microseconds(pids: Iterable[int]) -> float:
    """Return the sum over all threads, finer than `cpu_seconds`. An ended thread counts as zero."""
    nanoseconds = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(OSError):
                nanoseconds += int(task.read_text().split()[0])
    return nanoseconds / 1000


def started_at(pid: int) -> float:
    """Return the start of a process in seconds since the epoch, to a clock tick. Raises OSError: no such process."""
    since_boot = int(_stat(pid)[_STARTED]) / _TICKS
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot


def memory(pids: Collection[int]) -> Memory:
    return Memory(_sum(pids, "smaps_rollup", "Rss:"), _sum(pids, "smaps_rollup", "Pss:"))


def forget_peaks(pids: Iterable[int]) -> None:
    """Reset the peak resident size of the processes."""
    for pid in pids:
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text(_FORGET_PEAK)


def peak(pids: Collection[int]) -> float:
    """Return the sum of the peak resident sizes, in megabytes."""
    return _sum(pids, "status", "VmHWM:")


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _running() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid: int) -> Sequence[str]:
    """Return the fields after the process name, which may contain spaces and brackets."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def _sum(pids: Collection[int], file: str, field: str) -> float:
    return sum(_field(pid, file, field) for pid in pids) / 1024


def _field(pid: int, file: str, field: str) -> int:
    with suppress(OSError), open(f"/proc/{pid}/{file}") as lines:
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1])
    return 0
