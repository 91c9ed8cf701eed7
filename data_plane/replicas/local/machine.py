"""Memory and cores that the system offers for another worker. Nothing is told where there is no /proc."""

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Bytes that can be had without swapping, within the container's limit if there is one; None: it is not told."""
    try:
        told = _fields(_MEMINFO)["MemAvailable:"] * 1024
    except (OSError, KeyError, ValueError):
        return None
    left = _left_in_container()
    return told if left is None else min(told, left)


def resident_memory(pid: int) -> int:
    """Bytes that a process holds; 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _left_in_container() -> int | None:
    try:
        limit = int((_CONTAINER / "memory.max").read_text())
        used = int((_CONTAINER / "memory.current").read_text())
        cached = _fields(_CONTAINER / "memory.stat").get("inactive_file", 0)
    except (OSError, ValueError):
        # Without a limit the file is not there, or says "max".
        return None
    return max(0, limit - used + cached)


def _fields(file: Path) -> dict[str, int]:
    return {words[0]: int(words[1]) for line in file.read_text().splitlines() if len(words := line.split()) > 1}


def usable_cores() -> int:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return count or 1
