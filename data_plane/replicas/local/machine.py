"""Memory and cores of the machine, or of the container. Systems without /proc give no numbers for memory."""

import os
from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup")


def available_memory() -> int | None:
    """Return the bytes available without swapping, within the container's limit; None for an unknown number."""
    try:
        available = _fields(_MEMINFO)["MemAvailable:"] * 1024
    except (OSError, KeyError, ValueError):
        return None
    left = _left_in_container()
    return available if left is None else min(available, left)


def resident_memory(pid: int) -> int:
    """Return a process's resident bytes; 0 for an ended process."""
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
        # Without a limit the file is missing, or says "max".
        return None
    return max(0, limit - used + cached)


def _fields(file: Path) -> dict[str, int]:
    return {words[0]: int(words[1]) for line in file.read_text().splitlines() if len(words := line.split()) > 1}


def usable_cores() -> int:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return count or 1
