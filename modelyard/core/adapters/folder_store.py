"""An object store in a local folder: the default on one machine."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from uuid import uuid4

from modelyard.core.ports.object_store import ObjectMissing

_CHUNK = 1 << 20
# Half-written objects lie beside the whole ones, so that the final rename stays on one file system.
_UNFINISHED = ".unfinished"
# No write takes as long: what is older was left by a process that died.
_ABANDONED_SECONDS = 86_400


class FolderStore:
    """Objects as files. A write goes to a temporary file first and appears by rename."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unfinished = root / _UNFINISHED
        self._unfinished.mkdir(parents=True, exist_ok=True)
        self._remove_abandoned()

    def _remove_abandoned(self) -> None:
        for file in self._unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                    file.unlink()

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        target = self._path(key)
        descriptor, name = tempfile.mkstemp(dir=self._unfinished)
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                size = file.tell()
                file.flush()
                os.fsync(file.fileno())
            self._publish(Path(name), target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return size

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        try:
            file = self._path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectMissing(key) from None
        return _stream(file, start, length)

    def size(self, key: str) -> int:
        try:
            return self._path(key).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissing(key) from None

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def copy(self, source: str, target: str) -> None:
        unfinished = self._unfinished / uuid4().hex
        try:
            _link_or_copy(self._path(source), unfinished)
            self._publish(unfinished, self._path(target))
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissing(source) from None
        finally:
            # Renaming one name of a file to another of its names does nothing.
            unfinished.unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[str]:
        folder = self._root / prefix.rpartition("/")[0]
        for path in sorted(_files_below(folder)):
            key = path.relative_to(self._root).as_posix()
            if key.startswith(prefix) and not key.startswith(_UNFINISHED):
                yield key

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        if not parts or key.startswith("/") or ".." in parts or "\0" in key or parts[0] == _UNFINISHED:
            raise ValueError(f"not an object key: {key!r}")
        return self._root.joinpath(*parts)

    def _publish(self, unfinished: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(unfinished, target)


def _link_or_copy(source: Path, target: Path) -> None:
    """A second name is as good as a copy: objects are replaced, and never changed."""
    try:
        os.link(source, target)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError:
        # Not every file system can do it.
        shutil.copyfile(source, target)


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield Path(parent) / name


def _stream(file: BinaryIO, start: int, length: int | None) -> Iterator[bytes]:
    with file:
        file.seek(start)
        left = length
        while left is None or left > 0:
            chunk = file.read(_CHUNK if left is None else min(_CHUNK, left))
            if not chunk:
                return
            if left is not None:
                left -= len(chunk)
            yield chunk
