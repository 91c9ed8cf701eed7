"""The object store in a local folder: the default on one machine.

An object is written to a temporary file, synced, and renamed or linked to its key: a reader sees a complete object or
no object.
"""

import contextlib
import errno
import heapq
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from modelyard.core.ports.object_store import (
    UNFINISHED,
    KeyConflict,
    ObjectMissing,
    StoredObject,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    check_key,
)

_CHUNK = 1 << 20
# No write takes a day: older files belong to dead processes.
_ABANDONED_SECONDS = 86_400
# Names of one folder in memory; a larger folder is read again for each further page.
_PAGE = 50_000
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
_OTHER_KIND = (FileExistsError, IsADirectoryError, NotADirectoryError)
_NOT_THERE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class FolderStore:
    """Objects as files. Unfinished files are in a subfolder: the rename stays on one file system."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unfinished = root / UNFINISHED
        try:
            with self._errors_explained("write"):
                self._unfinished.mkdir(parents=True, exist_ok=True)
                self._remove_abandoned()
        except (FileExistsError, NotADirectoryError):
            raise StoreRefused(f"the object store's folder {root} is not a folder: move the file away") from None

    def __repr__(self) -> str:
        return f"FolderStore({self._root})"

    def put(self, key: str, chunks: Iterable[bytes], *, durable: bool = True) -> int:
        target = self._path(key)
        with self._synced_file(key, chunks, durable=durable) as file, self._placing(key):
            size = file.stat().st_size
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
        return size

    def put_if_absent(self, key: str, chunks: Iterable[bytes]) -> bool:
        target = self._path(key)
        if target.exists():
            return False
        with self._synced_file(key, chunks) as file, self._placing(key):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, target)
            except FileExistsError:
                return False
        return True

    def get(self, key: str, *, start: int = 0, length: int | None = None, etag: str | None = None) -> Iterator[bytes]:
        try:
            with self._errors_explained(f"read {key}"):
                file = self._path(key).open("rb")
        except _NOT_THERE:
            raise ObjectMissing(key) from None
        if etag is not None and _etag(os.fstat(file.fileno())) != etag:
            file.close()
            raise StoreUnavailable(f"{key} in {self._root} was replaced while it was read")
        return _stream(file, start, length)

    def size(self, key: str) -> int:
        return self.head(key).size

    def head(self, key: str) -> StoredObject:
        path = self._path(key)
        try:
            with self._errors_explained(f"look up {key}"):
                found = path.stat()
        except _NOT_THERE:
            raise ObjectMissing(key) from None
        if not stat.S_ISREG(found.st_mode):
            raise ObjectMissing(key)
        return _stored(key, found)

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def copy(self, source: str, target: str) -> None:
        path = self._path(target)
        with self._synced_file(target, []) as file, self._placing(target):
            try:
                _link_or_copy(self._path(source), file)
            except _NOT_THERE:
                raise ObjectMissing(source) from None
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, path)

    def list(self, prefix: str) -> Iterator[str]:
        return self._listed(prefix, "")

    def list_objects(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        for key in self._listed(prefix, after):
            try:
                found = (self._root / key).stat()
            except _NOT_THERE:
                continue
            yield _stored(key, found)

    def _listed(self, prefix: str, after: str) -> Iterator[str]:
        folder, _, beginning = prefix.rpartition("/")
        for key in _keys(self._root / folder, f"{folder}/" if folder else "", beginning, after):
            if not key.startswith(f"{UNFINISHED}/"):
                yield key

    def delete(self, key: str) -> None:
        with contextlib.suppress(*_NOT_THERE), self._errors_explained(f"delete {key}"):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        check_key(key)
        return self._root / key

    @contextlib.contextmanager
    def _synced_file(self, key: str, chunks: Iterable[bytes], *, durable: bool = True) -> Iterator[Path]:
        """Yield a temporary file with the content. A file without a new name disappears after the block."""
        with self._errors_explained(f"write {key}"):
            descriptor, name = tempfile.mkstemp(dir=self._unfinished)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                for chunk in _joined(chunks):
                    with self._errors_explained(f"write {key}"):
                        _write_all(file, chunk)
                if durable:
                    with self._errors_explained(f"write {key}"):
                        os.fsync(file.fileno())
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _errors_explained(self, operation: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise StoreFull(
                    f"no space left on device to {operation}: free space in {self._root}, the object store's folder"
                ) from None
            if error.errno in _NOT_ALLOWED:
                raise StoreRefused(
                    f"the object store's folder {self._root} does not allow to {operation}: {error.strerror}"
                ) from None
            raise

    @contextlib.contextmanager
    def _placing(self, key: str) -> Iterator[None]:
        try:
            with self._errors_explained(f"write {key}"):
                yield
        except _OTHER_KIND:
            raise KeyConflict(key) from None

    def _remove_abandoned(self) -> None:
        for file in self._unfinished.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                    file.unlink()


def _stored(key: str, found: os.stat_result) -> StoredObject:
    return StoredObject(key, found.st_size, _etag(found), datetime.fromtimestamp(found.st_mtime, UTC))


def _etag(found: os.stat_result) -> str:
    # Each put makes a file of its own.
    return f"0x{found.st_mtime_ns:x}.{found.st_ino:x}.{found.st_size:x}"


def _joined(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join the chunks to pieces worth a system call."""
    held, size = list[bytes](), 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size >= _CHUNK:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _link_or_copy(source: Path, unfinished: Path) -> None:
    """Link instead of copying where possible: objects are replaced and never changed in place."""
    unfinished.unlink()
    try:
        os.link(source, unfinished)
    except _NOT_THERE:
        raise
    except OSError:
        # The file system has no links.
        shutil.copyfile(source, unfinished)


def _write_all(file: FileIO, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]


def _keys(folder: Path, prefix: str, beginning: str = "", after: str = "") -> Iterator[str]:
    for name in _names_in_order(folder, prefix, beginning, after):
        if name.endswith("/"):
            yield from _keys(folder / name, f"{prefix}{name}", after=after)
        else:
            yield f"{prefix}{name}"


def _names_in_order(folder: Path, prefix: str, beginning: str, after: str) -> Iterator[str]:
    """Yield names in the order of keys: a folder has a "/" at the end, as in a key."""
    last = ""

    def is_ahead(name: str) -> bool:
        # A folder before `after` may hold keys behind.
        return name > last and (prefix + name > after or (name.endswith("/") and after.startswith(prefix + name)))

    while page := heapq.nsmallest(_PAGE, filter(is_ahead, _names(folder, beginning))):
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1]


def _names(folder: Path, beginning: str) -> Iterator[str]:
    # A deleted folder has no keys.
    with contextlib.suppress(*_NOT_THERE), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(beginning):
                yield f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name


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
