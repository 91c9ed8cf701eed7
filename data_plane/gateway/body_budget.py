"""The bytes of all request bodies that a gateway holds, compressed and decompressed, within one limit.

A request takes bytes as they arrive, so that an announced length alone takes nothing, and gives all of them back at its
end. Threads that decompress take bytes too.
"""

import threading
from types import TracebackType

from data_plane.gateway.errors import BodiesFull


class BodyBudget:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._left = limit
        self._lock = threading.Lock()

    def share(self) -> "BodyShare":
        return BodyShare(self)

    def take(self, size: int) -> None:
        """Raises BodiesFull, and then takes nothing."""
        with self._lock:
            if size > self._left:
                raise BodiesFull(self._limit)
            self._left -= size

    def give_back(self, size: int) -> None:
        with self._lock:
            self._left += size


class BodyShare:
    """The bytes of one request. Given back at the end of the block."""

    __slots__ = ("_budget", "_size")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._size = 0

    def take(self, size: int) -> None:
        """Raises BodiesFull."""
        self._budget.take(size)
        self._size += size

    def __enter__(self) -> "BodyShare":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._budget.give_back(self._size)
