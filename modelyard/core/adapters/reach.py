"""Programs within reach of another user.

As root, Postgres and the guest workers run as other users. A program that lies below a folder closed to them (root's
home is one) is copied once into the data dir; no permission outside the data dir is ever changed.
"""

import os
import shutil
import stat
import tempfile
from pathlib import Path


def is_reachable(path: Path) -> bool:
    """Whether any user may pass through every folder above `path` and read it."""
    real = path.resolve()
    passable = all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents)
    return passable and bool(real.stat().st_mode & stat.S_IROTH)


def copy_within_reach(tree: Path, target: Path) -> Path:
    """Make `target` a copy of the folder `tree` that any user may read; by links where the file system allows it.

    Repeatable and safe in a race: the copy appears whole, by rename.
    """
    if target.is_dir():
        return target
    unfinished = Path(tempfile.mkdtemp(dir=target.parent, prefix=".unfinished-"))
    try:
        shutil.copytree(tree, unfinished / "copy", symlinks=True, copy_function=_link_or_copy)
        _open_folders(unfinished / "copy")
        try:
            os.rename(unfinished / "copy", target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return target


def _link_or_copy(source: str, target: str) -> None:
    readable = os.stat(source).st_mode & stat.S_IROTH
    try:
        if readable:
            os.link(source, target, follow_symlinks=False)
            return
    except OSError:
        pass  # another file system, or a kernel that forbids linking to files of others
    shutil.copy2(source, target)
    os.chmod(target, stat.S_IMODE(os.stat(target).st_mode) | stat.S_IROTH)


def _open_folders(root: Path) -> None:
    for folder, _, _ in os.walk(root):
        os.chmod(folder, 0o755)  # noqa: S103 - to be read by others is its purpose
