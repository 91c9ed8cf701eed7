"""Access of another user to files, judged by the permission bits.

When the platform runs as root, Postgres and the model workers run as other users. A program below a folder
closed to other users (root's home, for example) is copied once into the data dir. No permission outside the data dir
ever changes.
"""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

Ignore = Callable[[str, list[str]], list[str]]


def reachable(path: Path, user: int) -> bool:
    """Whether `user`, with one group of the same number, can read the file or enter the folder."""
    real = path.resolve()
    return passable(real if real.is_dir() else real.parent, user) and _allows(real, user, stat.S_IRUSR)


def passable(folder: Path, user: int) -> bool:
    """Whether `user` can pass through the folder and every parent folder."""
    real = folder.resolve()
    return all(_allows(each, user, stat.S_IXUSR) for each in (real, *real.parents))


def _allows(path: Path, user: int, owner_bit: int) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    shift = 0 if found.st_uid == user else 3 if found.st_gid == user else 6
    return bool(found.st_mode & (owner_bit >> shift))


def make_readable(folder: Path) -> None:
    """Let every user read the files, which an installer may have closed to other accounts."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent) / name
            mode = path.lstat().st_mode
            wanted = mode | 0o044 | (0o011 if mode & stat.S_IXUSR else 0)
            if not stat.S_ISLNK(mode) and wanted != mode:
                path.chmod(stat.S_IMODE(wanted))


def copy_within_reach(
    tree: Path, target: Path, *, ignore: Ignore | None = None, adapt: Callable[[Path], None] | None = None
) -> Path:
    """Make `target` a copy of the folder `tree`, readable for every user; files are linked where no mode changes.

    `adapt` may change the copy before it appears. The copy appears complete, by rename, and an existing copy
    stays: the call can be repeated, also by several processes at once.
    """
    if target.is_dir():
        return target
    unfinished = Path(tempfile.mkdtemp(dir=target.parent, prefix=".unfinished-"))
    try:
        copy = unfinished / target.name
        shutil.copytree(tree, copy, symlinks=True, copy_function=_link_or_copy, ignore=ignore)
        for folder, _, _ in os.walk(copy):
            Path(folder).chmod(0o755)
        if adapt is not None:
            adapt(copy)
        _publish(copy, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _publish(copy: Path, target: Path) -> None:
    try:
        os.rename(copy, target)
    except OSError:
        # Another process published the copy first.
        if not target.is_dir():
            raise


def _link_or_copy(source: str, target: str) -> str:
    """Copy where the mode must change: a link would change the mode of the original."""
    mode = os.stat(source).st_mode
    if mode & stat.S_IROTH:
        # Links fail between file systems, and where the kernel forbids links to files of other users.
        with contextlib.suppress(OSError):
            os.link(source, target)
            return target
    shutil.copy2(source, target)
    os.chmod(target, stat.S_IMODE(mode) | 0o044 | (0o011 if mode & stat.S_IXUSR else 0))
    return target
