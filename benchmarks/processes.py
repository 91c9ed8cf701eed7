"""What processes cost, as Linux tells it in /proc."""

import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _USER, _SYSTEM = 1, 11, 12
_FORGET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes. The proportional size shares out what processes have in common; resident counts it for each."""

    resident: float
    proportional: float


def tree(root: int) -> list[int]:
    """`root` and whatever it has started, and that has started."""
    children: dict[int, list[int]] = {}
    for pid in _running():
        with suppress(OSError):
            children.setdefault(int(_stat(pid)[_PARENT]), []).append(pid)
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of all of them together. One that has ended counts for nothing."""
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            stat = _stat(pid)
            ticks += int(stat[_USER]) + int(stat[_SYSTEM])
    return ticks / _TICKS


def memory(pids: Collection[int]) -> Memory:
    return Memory(_sum(pids, "smaps_rollup", "Rss:"), _sum(pids, "smaps_rollup", "Pss:"))


def forget_peaks(pids: Iterable[int]) -> None:
    """From now on the largest size is counted anew."""
    for pid in pids:
        with suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text(_FORGET_PEAK)


def peak(pids: Collection[int]) -> float:
    """The sum of the largest resident sizes, in megabytes."""
    return _sum(pids, "status", "VmHWM:")


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _running() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid: int) -> Sequence[str]:
    """The fields from the state on; the name before it may hold anything."""
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
