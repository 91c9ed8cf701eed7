"""Folders of one account: a link or a folder that another account planted at the path is refused.

The checks use a descriptor of the folder, so that no exchange of the path between check and change has an effect.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path


def ensure_owned_folder(path: Path, *, mode: int = 0o700, owner: tuple[int, int] | None = None) -> None:
    """Create a missing folder, and set its permissions and its owner, given as user id and group id.

    Without `owner` the folder belongs to this process's account. Raises PermissionError for a link, a file, or a
    folder of an account other than this process's and the owner's.
    """
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    descriptor = _open_folder(path)
    try:
        user = os.fstat(descriptor).st_uid
        if user not in {os.getuid(), os.getuid() if owner is None else owner[0]}:
            raise _refused(path, f"belongs to another account (user id {user})")
        if owner is not None:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def is_own_folder(path: Path) -> bool:
    """Whether `path` is a folder of this process's account, no link, and closed to writes of other accounts."""
    try:
        descriptor = _open_folder(path)
    except OSError:
        return False
    try:
        found = os.fstat(descriptor)
        return found.st_uid == os.getuid() and not found.st_mode & 0o022
    finally:
        os.close(descriptor)


def _open_folder(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        # ENOTDIR or ELOOP: a link.
        is_link = error.errno in (errno.ENOTDIR, errno.ELOOP)
        raise _refused(path, "is a link or no folder" if is_link else str(error.strerror)) from None


def _refused(path: Path, reason: str) -> PermissionError:
    return PermissionError(errno.EPERM, f"{reason}; remove it, or choose another --data-dir", str(path))
