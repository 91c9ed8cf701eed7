"""The object store on S3 or Azure, through obstore. The adapter adds:

- Reads by parts, with the first part's etag: a slow reader holds no connection open, and all parts belong to one
  version. A broken part is requested again. Further parts arrive while the reader is busy.
- Writes by size: one request for a stream within one part, a multipart upload for a longer stream.
- The port's errors in place of the library's, without text of the library or the server.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import chain, groupby
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from obstore.exceptions import BaseError
from obstore.store import AzureStore, S3Store

from modelyard.core.adapters.store_errors import BeyondEnd, ConditionFailed, ResponseCut, StorePlace, port_error
from modelyard.core.errors import InvalidRequest
from modelyard.core.ports.object_store import (
    UNFINISHED,
    ObjectMissing,
    StoredObject,
    StoreRefused,
    StoreUnavailable,
    check_key,
)
from modelyard.core.settings import ObjectStoreSettings

if TYPE_CHECKING:
    # Types in the stubs of the library only.
    from obstore import GetOptions, ObjectMeta
    from obstore.store import ClientConfig, RetryConfig

Response = TypeVar("Response")

_PART = 8 << 20
_FIRST_PART = 1 << 20
# Parts in transfer at the same time, and in memory for each put or get.
_CONCURRENT_PARTS = 4
_KEYS_PER_PAGE = 1000
_ATTEMPTS = 3
_PAUSE_SECONDS = 0.2


def client_config(seconds: float, *, allow_http: bool) -> "ClientConfig":
    """Return the options of a client with a limit of `seconds` for a request."""
    return {"timeout": timedelta(seconds=seconds), "connect_timeout": "5s", "allow_http": allow_http}


def retry_config(settings: ObjectStoreSettings) -> "RetryConfig":
    backoff = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2}
    return {
        "backoff": backoff,  # type: ignore[typeddict-item]
        "max_retries": settings.max_retries,
        "retry_timeout": timedelta(seconds=settings.retry_seconds),
    }


class CloudStore:
    def __init__(
        self,
        place: StorePlace,
        connect: Callable[[float], S3Store | AzureStore],
        settings: ObjectStoreSettings,
        *,
        largest_copy: int | None = None,
    ) -> None:
        """`connect` creates a client with the given limit of seconds for a request."""
        self._place = place
        try:
            self._store = connect(settings.request_seconds)
            self._copying = connect(settings.copy_seconds)
        except (BaseError, ValueError):
            # The library quotes the configuration, with the key.
            raise InvalidRequest(
                f"{place.credentials} is not in the form that the store issues: copy the whole value"
            ) from None
        self._copy_seconds = settings.copy_seconds
        self._largest_copy = largest_copy

    def __repr__(self) -> str:
        return f"CloudStore({self._place.name})"

    def put(self, key: str, chunks: Iterable[bytes], *, durable: bool = True) -> int:
        check_key(key)
        return self._put(key, *_beginning(chunks))

    def put_if_absent(self, key: str, chunks: Iterable[bytes]) -> bool:
        check_key(key)
        if self.exists(key):
            return False
        beginning, rest = _beginning(chunks)
        try:
            if rest is None:
                self._request("write", key, lambda: self._store.put(key, b"".join(beginning), mode="create"))
            else:
                self._put_large_if_absent(key, beginning, rest)
        except ConditionFailed:
            if self.exists(key):
                return False
            raise StoreUnavailable(f"another process writes {key} to the object store {self._place.name}") from None
        return True

    def get(self, key: str, *, start: int = 0, length: int | None = None, etag: str | None = None) -> Iterator[bytes]:
        check_key(key)
        if length == 0:
            self.size(key)
            return iter(())
        wanted = None if etag is None else f'"{etag}"'
        first = self._part(key, start, min(_FIRST_PART, length or _FIRST_PART), wanted)
        return self._parts(key, first, start, length) if first.content else iter(())

    def size(self, key: str) -> int:
        return self.head(key).size

    def head(self, key: str) -> StoredObject:
        check_key(key)
        try:
            return _stored(self._request("look up", key, lambda: self._store.head(key)), key)
        except StoreRefused:
            # The response to HEAD has no body and so no cause; the response to a listing has.
            next(self.list(key), None)
            raise

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except ObjectMissing:
            return False
        return True

    def copy(self, source: str, target: str) -> None:
        check_key(target)
        size = self.size(source)
        if self._largest_copy is not None and size > self._largest_copy:
            self.put(target, self.get(source))
            return
        self._request("copy", source, lambda: self._copying.copy(source, target))
        self._await_copy(target, size)

    def list(self, prefix: str) -> Iterator[str]:
        for found in self.list_objects(prefix):
            yield found.key

    def list_objects(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        for _, objects in groupby(self._listed(prefix, after), lambda found: _prefix_of_common_order(found.key)):
            yield from sorted((found for found in objects if found.key > after), key=lambda found: found.key)

    def delete(self, key: str) -> None:
        check_key(key)
        with suppress(ObjectMissing):
            self._request("delete", key, lambda: self._store.delete(key))

    def _put(self, key: str, beginning: Sequence[bytes], rest: Iterator[bytes] | None) -> int:
        if rest is None:
            content = b"".join(beginning)
            self._request("write", key, lambda: self._store.put(key, content, use_multipart=False))
            return len(content)
        source = _Source(chain(beginning, rest))
        try:
            self._request(
                "write",
                key,
                lambda: self._store.put(
                    key, source, use_multipart=True, chunk_size=_PART, max_concurrency=_CONCURRENT_PARTS
                ),
                attempts=1,
            )
        finally:
            # An exception of the caller's stream reaches the caller unchanged.
            if source.error is not None:
                raise source.error
        return source.size

    def _put_large_if_absent(self, key: str, beginning: Sequence[bytes], rest: Iterator[bytes]) -> None:
        """Upload under a temporary key, then copy: a copy can have a condition, a multipart upload cannot."""
        whole = f"{UNFINISHED}/{uuid4().hex}"
        try:
            size = self._put(whole, beginning, rest)
            self._request("write", key, lambda: self._copying.copy(whole, key, overwrite=False))
            self._await_copy(key, size)
        finally:
            with suppress(StoreUnavailable, StoreRefused, ObjectMissing):
                self._request("delete", whole, lambda: self._store.delete(whole))

    def _await_copy(self, target: str, size: int) -> None:
        """Azure may respond before the copy is complete; until then the target is shorter."""
        deadline, pause = time.monotonic() + self._copy_seconds, 0.05
        while self.size(target) != size:
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"the object store {self._place.name} did not finish the copy to {target}")
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def _parts(self, key: str, first: "_Part", start: int, length: int | None) -> Iterator[bytes]:
        yield first.content
        end = first.object_size if length is None else min(first.object_size, start + length)

        def content(at: int) -> bytes:
            part = self._part(key, at, min(_PART, end - at), first.etag)
            # Some servers ignore etags.
            if part.object_size != first.object_size:
                raise self._changed(key)
            return part.content

        yield from _prefetched(content, range(start + len(first.content), end, _PART))

    def _part(self, key: str, start: int, length: int, etag: str | None) -> "_Part":
        try:
            return self._request("read", key, lambda: self._fetched(key, start, length, etag))
        except BeyondEnd:
            if self.size(key) > start:
                raise self._changed(key) from None
            return _Part(b"", 0, None)
        except ConditionFailed:
            # The object is missing, or was replaced.
            self.size(key)
            raise self._changed(key) from None

    def _changed(self, key: str) -> StoreUnavailable:
        return StoreUnavailable(f"{key} in the object store {self._place.name} was replaced while it was read")

    def _fetched(self, key: str, start: int, length: int, etag: str | None) -> "_Part":
        options: GetOptions = {"range": (start, start + length)}
        answer = self._store.get(key, options=options if etag is None else {**options, "if_match": etag})
        content, size = bytes(answer.bytes()), answer.meta["size"]
        if len(content) != min(length, size - start):
            raise StoreUnavailable(f"the object store {self._place.name} gave less of {key} than it promised")
        return _Part(content, size, answer.meta["e_tag"])

    def _listed(self, prefix: str, after: str) -> Iterator[StoredObject]:
        folder, _, beginning = prefix.rpartition("/")
        # An offset lets the store skip keys: the prefix without the last letter sorts before every key of the prefix.
        last = prefix[:-1].rstrip("/") if beginning else ""
        # The order of keys with letters over U+D7FF differs between servers.
        is_common = not _prefix_of_common_order(after)[1]
        for page in self._pages(prefix, folder, max(last, after) if is_common and after.startswith(prefix) else last):
            for found in page:
                if found.key.startswith(prefix) and not found.key.startswith(f"{UNFINISHED}/"):
                    yield found

    def _pages(self, prefix: str, folder: str, last: str) -> Iterator[Sequence[StoredObject]]:
        """Yield pages of keys; after a broken transfer, continue behind the last key."""
        cuts = 0
        pages = self._store.list(folder or None, offset=last or None, chunk_size=_KEYS_PER_PAGE)
        while True:
            try:
                page = self._request("list", prefix, partial(next, pages, ()), attempts=1)
            except ResponseCut:
                cuts += 1
                if cuts == _ATTEMPTS:
                    raise
                pages = self._store.list(folder or None, offset=last or None, chunk_size=_KEYS_PER_PAGE)
                continue
            if not page:
                return
            yield [_stored(found, found["path"]) for found in page]
            last = page[-1]["path"]

    def _request(
        self, operation: str, key: str, send: Callable[[], Response], *, attempts: int = _ATTEMPTS
    ) -> Response:
        """The library repeats requests, except after a broken response."""
        for left in reversed(range(attempts)):
            try:
                return send()
            except (BaseError, FileNotFoundError) as error:
                failure = port_error(error, self._place, operation, key)
            if not left or not isinstance(failure, ResponseCut):
                raise failure
            time.sleep(_PAUSE_SECONDS)
        raise AssertionError("attempts is at least 1")


def _stored(found: "ObjectMeta", key: str) -> StoredObject:
    # Some responses have the etag in quotation marks, others of the same server have not.
    etag = (found["e_tag"] or "").removeprefix("W/").strip('"')
    modified_at = found["last_modified"]
    return StoredObject(key, found["size"], etag or f"{modified_at.timestamp():.6f}-{found['size']}", modified_at)


@dataclass(frozen=True, slots=True)
class _Part:
    content: bytes
    object_size: int
    etag: str | None


class _Source:
    """The stream of a put, with the number of read bytes and the exception of the stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.size = 0
        self.error: BaseException | None = None

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> bytes:
        try:
            chunk = next(self._chunks)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise
        self.size += len(chunk)
        return chunk


def _prefetched(fetch: Callable[[int], bytes], offsets: Iterable[int]) -> Iterator[bytes]:
    """Yield the part at each offset in order, and fetch further parts while the caller uses a part."""
    pool = ThreadPoolExecutor(_CONCURRENT_PARTS, thread_name_prefix="store-parts")
    coming = deque[Future[bytes]]()
    try:
        for offset in offsets:
            coming.append(pool.submit(fetch, offset))
            if len(coming) == _CONCURRENT_PARTS:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        # An abandoned stream does not wait for parts in transfer.
        pool.shutdown(wait=False, cancel_futures=True)


def _beginning(chunks: Iterable[bytes]) -> tuple[Sequence[bytes], Iterator[bytes] | None]:
    """Return the first part of the stream, and the rest of the stream or None if the first part is the whole."""
    rest, beginning, size = iter(chunks), list[bytes](), 0
    for chunk in rest:
        beginning.append(chunk)
        size += len(chunk)
        if size > _PART:
            return beginning, rest
    return beginning, None


def _prefix_of_common_order(key: str) -> tuple[str, bool]:
    """Some servers order keys by UTF-16. The order differs from UTF-8 only behind the first letter over U+D7FF."""
    for at, letter in enumerate(key):
        if letter > "\ud7ff":
            return key[:at], True
    return key, False
