"""The descendants of a process, whatever sessions and groups they have made for themselves."""

import os
import signal
import subprocess
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

_ROUNDS = 3
"""A process may fork between the look and the kill."""


def kill_tree(root: int) -> None:
    """Kill the process and all its descendants, stopped ones too."""
    for _ in range(_ROUNDS):
        for pid in (*descendants(root), root):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def descendants(root: int) -> list[int]:
    """Return the ids of the running descendants, parents first."""
    children = defaultdict(list)
    for pid, parent in _parents().items():
        children[parent].append(pid)
    found = [root]
    for pid in found:
        found.extend(children[pid])
    return found[1:]


def _parents() -> dict[int, int]:
    if not Path("/proc/self/stat").exists():
        # macOS.
        lines = subprocess.run(["ps", "-Ao", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
        return {int(pid): int(parent) for pid, parent in (line.split() for line in lines.splitlines())}
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            # A process may end during the look.
            with suppress(OSError, IndexError):
                # The name, in parentheses, may contain anything.
                found[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    return found
