"""Whether another user can read and run what lies at a path, judged from permission bits."""

import os
import stat
from pathlib import Path


def reachable(path: Path, user: int) -> bool:
    """`user` (with a group of the same number and no others) can read the file or enter the folder."""
    real = path.resolve()
    folders = [*real.parents] + ([real] if real.is_dir() else [])
    if not all(_allows(folder, user, stat.S_IXUSR) for folder in folders):
        return False
    return _allows(real, user, stat.S_IRUSR)


def _allows(path: Path, user: int, owner_bit: int) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    shift = 0 if found.st_uid == user else 3 if found.st_gid == user else 6
    return bool(found.st_mode & (owner_bit >> shift))


def make_readable(folder: Path) -> None:
    """Let everybody read what an installer may have written for its own account alone."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent) / name
            mode = path.lstat().st_mode
            wanted = mode | 0o044 | (0o011 if mode & stat.S_IXUSR else 0)
            if not stat.S_ISLNK(mode) and wanted != mode:
                path.chmod(stat.S_IMODE(wanted))
