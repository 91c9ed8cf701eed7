"""Control groups (Linux, version 1 or 2): limits on memory and tasks of a whole process tree, for a platform of root.

A group is a folder `modelyard/<name>` below the platform's own group in each hierarchy, so that limits around the
platform stay in force. A process enters by writing to one of the returned files.
"""

import contextlib
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OURS = "modelyard"
_CONTROLLERS = ("memory", "pids")
_MEMORY_FILES = ("memory.max", "memory.limit_in_bytes")
_TASK_FILES = ("pids.max",)


def can_limit() -> bool:
    """Return whether groups can be made here: containers and ordinary users can seldom make any."""
    return bool(_parents())


def make_group(name: str, *, memory_bytes: int, tasks: int) -> tuple[str, ...]:
    """Make the group and return the files to enter by; none where none can be made."""
    entrances = []
    for parent in _parents():
        group = parent / name
        try:
            group.mkdir(exist_ok=True)
            for names, limit in ((_MEMORY_FILES, memory_bytes), (_TASK_FILES, tasks)):
                for file in names:
                    if (group / file).exists():
                        (group / file).write_text(str(limit))
        except OSError:
            continue
        entrances.append(str(group / "cgroup.procs"))
    return tuple(entrances)


def remove_group(name: str) -> None:
    """Remove a group without processes; leave any other alone."""
    for parent in _parents():
        with contextlib.suppress(OSError):
            (parent / name).rmdir()


def _parents() -> list[Path]:
    try:
        if (_ROOT / "cgroup.controllers").exists():
            return _parents_of_version_2()
        own = _own_groups()
        parents = [_ROOT / controller / own[controller].lstrip("/") / _OURS for controller in _CONTROLLERS]
        for parent in parents:
            # Without the hierarchy, the folder above is missing, too.
            parent.mkdir(exist_ok=True)
    except (OSError, KeyError):
        return []
    return parents


def _own_groups() -> dict[str, str]:
    """Return the path of this process's group by controller; version 2 has the name ""."""
    lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    return {controller: path for _, controllers, path in lines for controller in controllers.split(",")}


def _parents_of_version_2() -> list[Path]:
    """Only below the root group: any other group has either processes or groups with limits."""
    has_controllers = {*_CONTROLLERS} <= {*(_ROOT / "cgroup.subtree_control").read_text().split()}
    if not has_controllers or _own_groups()[""] != "/":
        return []
    parent = _ROOT / _OURS
    parent.mkdir(exist_ok=True)
    (parent / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in _CONTROLLERS))
    return [parent]
