"""The object store port: complete objects under keys, written atomically and read as streams.

Each error has one readable line with the operation and the key, and never a credential or a signed URL:

    ObjectMissing        no object has the key
    StoreUnavailable     the store did not answer, or broke off, in all attempts of the adapter: try later
    StoreRefused         the store refuses until a credential, a right or a bucket changes
    └── StoreFull        no space is left
    KeyConflict          the key is a folder of other keys, or has an object in place of a folder
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Protocol
from uuid import uuid4

from modelyard.core.errors import Conflict, PlatformError, Unavailable

UNFINISHED = ".unfinished"
"""Reserved first part of keys: adapters keep incomplete objects there."""
# S3 and Azure allow 1,024 bytes; the rest is for the prefix in the store's URL.
_LONGEST_KEY = 900


class ObjectMissing(KeyError):
    """No object has the key."""


class StoreUnavailable(Unavailable):
    """A passing failure: of the network, of the store, or a replaced object during a read."""

    code = "ObjectStoreUnavailable"


class StoreRefused(PlatformError):
    """Wrong credentials, missing rights or a missing bucket: the message says what to change."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "ObjectStoreRefused"


class StoreFull(StoreRefused):
    status = HTTPStatus.INSUFFICIENT_STORAGE
    code = "ObjectStoreFull"


class KeyConflict(Conflict):
    """A store of files cannot hold an object and a folder of one name."""

    code = "KeyConflict"

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} cannot be written: a file and a folder of one name exclude each other, rename one")


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    size: int
    etag: str
    """Changes with the content. Without quotation marks."""
    modified_at: datetime


class ObjectStore(Protocol):
    """Keys are "/"-separated and relative. A reader sees a complete object or no object.

    Every method raises StoreUnavailable or StoreRefused, and ValueError for an invalid key (`check_key`).
    """

    def put(self, key: str, chunks: Iterable[bytes], *, durable: bool = True) -> int:
        """Store or replace an object from a stream and return the size in bytes. A broken stream changes no object.

        An object that is not durable may be shorter, or missing, after a crash of the machine. Raises KeyConflict.
        """

    def put_if_absent(self, key: str, chunks: Iterable[bytes]) -> bool:
        """Store an object unless the key has an object. Of concurrent callers, one gets True."""

    def get(self, key: str, *, start: int = 0, length: int | None = None, etag: str | None = None) -> Iterator[bytes]:
        """Stream an object, or the byte range [start, start + length). Raises ObjectMissing before the first chunk.

        All chunks are of one version of the object. With an `etag`, another version raises StoreUnavailable. A stream
        that cannot be read to the end raises.
        """

    def size(self, key: str) -> int:
        """Size in bytes. Raises ObjectMissing."""

    def head(self, key: str) -> StoredObject:
        """Size, etag and time of the last change. Raises ObjectMissing."""

    def exists(self, key: str) -> bool: ...

    def copy(self, source: str, target: str) -> None:
        """Copy within the store, without the bytes passing through the caller. Raises ObjectMissing."""

    def list(self, prefix: str) -> Iterator[str]:
        """Keys that begin with `prefix`, in the order of the UTF-8 bytes, a page at a time.

        Objects may come and go during the listing: a listed object can be missing at the read.
        """

    def list_objects(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        """Like `list`, with sizes, and without the keys up to `after`."""

    def delete(self, key: str) -> None:
        """Remove an object. A missing object is no error."""


def check_key(key: str) -> None:
    """Raise ValueError for a key that not every store can hold."""
    parts = key.split("/")
    is_odd = any(part in {"", ".", ".."} for part in parts) or any(c < " " or c in "\\\x7f" for c in key)
    if is_odd or parts[0] == UNFINISHED or len(key.encode()) > _LONGEST_KEY:
        raise ValueError(f"not an object key: {key!r}")


def check_store(store: ObjectStore) -> None:
    """Write, read, list and remove a small object, at a start. Raises StoreUnavailable or StoreRefused."""
    key = f"checks/{uuid4().hex}"
    store.put(key, [b"whole"])
    try:
        for _ in store.get(next(store.list(key))):
            pass
    finally:
        store.delete(key)
