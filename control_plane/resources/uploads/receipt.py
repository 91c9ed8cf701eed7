"""Receive the body of a PUT into the spool, without a thread while the sender is slow.

The connection cuts a sender below the least rate (`modelyard/process/http_connection.py`).
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import contextmanager

from anyio import CapacityLimiter, to_thread

from control_plane.resources.uploads.spool import BodyInMemory, SpooledBody, check_room
from modelyard.core.errors import TooManyUploads

# A piece costs a hand-over to a thread.
_PIECE_BYTES = 256 << 10
# Writes to the spool are short.
_writers = CapacityLimiter(8)


class UploadSlots:
    """The requests that send a file to one target, such as the URL of an upload, at a time.

    Used on the event loop only.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[Hashable] = Counter()

    @contextmanager
    def take(self, target: Hashable) -> Iterator[None]:
        """Raises TooManyUploads."""
        if self._taken[target] >= self._limit:
            raise TooManyUploads(self._limit)
        self._taken[target] += 1
        try:
            yield
        finally:
            self._taken[target] -= 1
            if not self._taken[target]:
                del self._taken[target]


class BodyMemory:
    """The memory for small bodies of all requests at a time. Used on the event loop only."""

    def __init__(self, limit: int, *, largest: int) -> None:
        """`largest` is the most bytes of one body."""
        self._left = limit
        self._largest = largest

    @contextmanager
    def take(self, length: int) -> Iterator[bool]:
        """Yield whether a body of the declared length may be in memory. 0: the sender declares no length."""
        is_granted = 0 < length <= min(self._largest, self._left)
        self._left -= length if is_granted else 0
        try:
            yield is_granted
        finally:
            self._left += length if is_granted else 0


async def receive_in_memory(
    stream: AsyncIterator[bytes], length: int, algorithm: str | None, disconnect: type[Exception]
) -> BodyInMemory:
    """Receive a body of the declared length without the spool. Raises PayloadTooLarge for a longer body."""
    pieces, size, is_interrupted = list[bytes](), 0, False
    try:
        async for piece in stream:
            size += len(piece)
            check_room(size, length)
            pieces.append(piece)
    except disconnect:
        is_interrupted = True
    return BodyInMemory(pieces, algorithm, is_interrupted=is_interrupted)


async def receive_body(
    stream: AsyncIterator[bytes], make_body: Callable[[], SpooledBody], disconnect: type[Exception]
) -> SpooledBody:
    """Receive a whole body, or what arrives before `disconnect`. The caller closes the body. Raises PayloadTooLarge."""
    body = await to_thread.run_sync(make_body, limiter=_writers)
    try:
        waiting: list[bytes] = []
        size = 0
        try:
            async for piece in stream:
                waiting.append(piece)
                size += len(piece)
                if size >= _PIECE_BYTES:
                    await to_thread.run_sync(body.write, b"".join(waiting), limiter=_writers)
                    waiting, size = [], 0
        except disconnect:
            body.is_interrupted = True
        if size:
            await to_thread.run_sync(body.write, b"".join(waiting), limiter=_writers)
    except BaseException:
        body.close()
        raise
    return body
