"""What the platform needs of an object store: whole objects under keys, written atomically, read as streams.

The errors carry one readable line each, with the operation and the key, and never a credential or a signed URL:

    ObjectMissing        no object lies under the key
    StoreUnavailable     the store did not answer, or broke off, until the adapter's own retries were used up: try later
    StoreRefused         it said no, and will say so again until somebody changes something
    └── StoreFull        there is no space left
"""

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Protocol
from uuid import uuid4

from modelyard.core.errors import PlatformError, Unavailable

UNFINISHED = ".unfinished"
"""The first part of no key: adapters keep there what is not whole yet."""
# S3 and Azure allow 1,024; the rest is for the prefix of the store's URL.
_LONGEST_KEY = 900


class ObjectMissing(KeyError):
    """No object lies under this key."""


class StoreUnavailable(Unavailable):
    """Worth another try: the network, the store's own trouble, or an object replaced while it was read."""

    code = "ObjectStoreUnavailable"


class StoreRefused(PlatformError):
    """Credentials, rights, a bucket that is missing: the message says what to change."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "ObjectStoreRefused"


class StoreFull(StoreRefused):
    status = HTTPStatus.INSUFFICIENT_STORAGE
    code = "ObjectStoreFull"


class ObjectStore(Protocol):
    """Keys are '/'-separated and relative. A reader sees a whole object or none, never half of one.

    Every method raises StoreUnavailable or StoreRefused, and ValueError for what can be no key (`check_key`).
    """

    def put(self, key: str, chunks: Iterable[bytes]) -> int:
        """Store (or replace) an object from a stream; returns its size. A stream that raises leaves nothing new."""

    def put_if_absent(self, key: str, chunks: Iterable[bytes]) -> bool:
        """Store an object unless there is one; of many callers at once one gets True. False: a whole one is there."""

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream an object, or the byte range [start, start + length). Raises ObjectMissing before the first chunk.

        All of it is of one version of the object; a stream that cannot be read to its end raises, it is never short.
        """

    def size(self, key: str) -> int:
        """Size in bytes. Raises ObjectMissing."""

    def exists(self, key: str) -> bool: ...

    def copy(self, source: str, target: str) -> None:
        """Copy within the store without the bytes passing through the caller. Raises ObjectMissing."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, in the order of their UTF-8 bytes, a page at a time.

        Keys may come and go meanwhile: one that is listed can be gone when it is read.
        """

    def delete(self, key: str) -> None:
        """Remove an object; removing what is not there is no error."""


def check_key(key: str) -> None:
    """Raise ValueError for a key that some store cannot hold: no store holds it then."""
    parts = key.split("/")
    is_odd = any(part in {"", ".", ".."} for part in parts) or any(c < " " or c in "\\\x7f" for c in key)
    if is_odd or parts[0] == UNFINISHED or len(key.encode()) > _LONGEST_KEY:
        raise ValueError(f"not an object key: {key!r}")


def check_store(store: ObjectStore) -> None:
    """What a start calls: write, read, list and remove a small object; raises StoreUnavailable or StoreRefused."""
    key = f"checks/{uuid4().hex}"
    store.put(key, [b"whole"])
    try:
        for _ in store.get(next(store.list(key))):
            pass
    finally:
        store.delete(key)
