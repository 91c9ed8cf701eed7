"""Reads the next chunk while the model scores the last: a single thread, at most a chunk ahead."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

_CHECK_SECONDS = 0.2
_Item = TypeVar("_Item")


class _Raised:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


class _ReadAhead(Generic[_Item]):
    def __init__(self, source: Iterable[_Item]) -> None:
        self._source = source
        self._queue: Queue[_Item | _Raised | _End] = Queue(maxsize=1)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def items(self) -> Iterator[_Item]:
        """Yield the source's items; an error of the source is raised in place of the next item."""
        while not isinstance(item := self._queue.get(), _End):
            if isinstance(item, _Raised):
                raise item.error
            yield item

    def close(self) -> None:
        self._closed.set()
        with suppress(Empty):
            # The thread may wait for room in the queue.
            self._queue.get_nowait()
        self._thread.join()

    def _run(self) -> None:
        try:
            for item in self._source:
                if not self._hand_over(item) or self._closed.is_set():
                    return
                # Frees a large item before the next is read.
                del item
        except BaseException as error:  # noqa: BLE001 - raised again by `items`
            self._hand_over(_Raised(error))
        else:
            self._hand_over(_End())

    def _hand_over(self, item: _Item | _Raised | _End) -> bool:
        """Return False if the reader was closed."""
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_CHECK_SECONDS)
            except Full:
                continue
            return True
        return False


@contextmanager
def read_ahead(source: Iterable[_Item]) -> Iterator[Iterator[_Item]]:
    reading = _ReadAhead(source)
    reading.start()
    try:
        yield reading.items()
    finally:
        reading.close()
