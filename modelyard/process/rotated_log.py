"""Read a log that another process writes and rotates: `name`, then `name.1`, `name.2`, … from new to old.

A position survives rotations: it names a file by inode, and a reader finds the file under its present name.
"""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


@dataclass(slots=True)
class LogPosition:
    inode: int = 0
    """0: before the first file."""
    offset: int = 0


class Piece(NamedTuple):
    content: bytes
    is_last_of_file: bool
    """Whether the content ends a file to which nothing will be appended."""


class RotatedLog:
    def __init__(self, path: Path, position: LogPosition | None = None) -> None:
        self._path = path
        self.position = position or LogPosition()

    def peek(self, max_bytes: int) -> Piece:
        """Return the next content without moving on: at most `max_bytes`, from one file. Raises OSError."""
        while True:
            file, is_current = self._open()
            if file is None:
                return Piece(b"", is_last_of_file=False)
            try:
                size = os.fstat(file).st_size
                if size < self.position.offset:
                    self.position.offset = 0  # the file was truncated
                content = os.pread(file, max_bytes, self.position.offset)
            finally:
                os.close(file)
            is_last = not is_current and self.position.offset + len(content) >= size
            if content or is_current:
                return Piece(content, is_last)
            self._enter_next_file()

    def advance(self, length: int) -> None:
        self.position.offset += length

    def remove(self) -> None:
        for path in (self._path, *self._rotated()):
            path.unlink(missing_ok=True)

    def _open(self) -> tuple[int | None, bool]:
        """Open the file of the position, or the oldest file if that file is gone."""
        paths = self._oldest_first()
        found = [(path, inode) for path in paths if (inode := _inode(path))]
        for path, inode in found:
            if inode == self.position.inode:
                return _open(path, inode), path == self._path
        if not found:
            return None, True
        path, inode = found[0]
        self.position.inode, self.position.offset = inode, 0
        return _open(path, inode), path == self._path

    def _enter_next_file(self) -> None:
        inodes = [inode for path in self._oldest_first() if (inode := _inode(path))]
        if self.position.inode in inodes[:-1]:
            self.position.inode = inodes[inodes.index(self.position.inode) + 1]
            self.position.offset = 0

    def _oldest_first(self) -> list[Path]:
        return [*self._rotated(), self._path]

    def _rotated(self) -> list[Path]:
        numbers = []
        for path in self._path.parent.glob(f"{self._path.name}.*"):
            with suppress(ValueError):
                numbers.append(int(path.suffix[1:]))
        return [self._path.with_name(f"{self._path.name}.{number}") for number in sorted(numbers, reverse=True)]


def _inode(path: Path) -> int:
    """Return 0 for a missing file, and for anything but a file: a model may have put a link there."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return 0
    return status.st_ino if stat.S_ISREG(status.st_mode) else 0


def _open(path: Path, inode: int) -> int | None:
    """Open the file if the path still names it: the writer may have rotated the log since."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if os.fstat(file).st_ino == inode:
        return file
    os.close(file)
    return None
