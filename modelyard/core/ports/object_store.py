"""What the platform needs of an object store: whole objects under keys, written atomically, read as streams."""

from collections.abc import Iterable, Iterator
from typing import Protocol


class ObjectMissing(KeyError):
    """No object lies under this key."""


class ObjectStore(Protocol):
    """Keys are '/'-separated and relative. A reader sees a whole object or none, never half of one."""

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        """Store (or replace) an object from a stream; returns its size in bytes."""

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream an object, or the byte range [start, start + length). Raises ObjectMissing before the first chunk."""

    def size(self, key: str) -> int:
        """Size in bytes. Raises ObjectMissing."""

    def exists(self, key: str) -> bool: ...

    def copy(self, source: str, target: str) -> None:
        """Copy within the store without the bytes passing through the caller. Raises ObjectMissing."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, sorted."""

    def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is no error."""
