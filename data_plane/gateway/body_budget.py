"""The bytes of all request bodies that a gateway holds, compressed and decompressed, within one limit.

A request takes bytes as they arrive, so that an announced length alone takes nothing, and gives all of them back at its
end. Threads that decompress take bytes too.
"""

import threading
from types import TracebackType

from data_plane.gateway.errors import BodiesFull


class BodyBudget:
    """Two sums, because a lock costs a small request about 1 %: the event loop's is changed by one thread only.

    Both sides count first and compare then: together they never exceed the limit.
    """

    __slots__ = ("in_threads", "limit", "lock", "on_loop")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.on_loop = 0
        self.in_threads = 0
        """Changed with the lock."""
        self.lock = threading.Lock()

    def share(self) -> "BodyShare":
        return BodyShare(self)


class BodyShare:
    """The bytes of one request. Given back at the end of the block, on the event loop."""

    __slots__ = ("_budget", "_in_threads", "_is_closed", "_on_loop")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._on_loop = 0
        self._in_threads = 0
        self._is_closed = False

    def take(self, size: int) -> None:
        """Take bytes on the event loop. Raises BodiesFull, and then takes nothing."""
        budget = self._budget
        budget.on_loop += size
        if budget.on_loop + budget.in_threads > budget.limit:
            budget.on_loop -= size
            raise BodiesFull(budget.limit)
        self._on_loop += size

    def take_in_thread(self, size: int) -> None:
        """Take bytes in another thread. Raises BodiesFull, also after the end of the block."""
        budget = self._budget
        with budget.lock:
            budget.in_threads += size
            if self._is_closed or budget.on_loop + budget.in_threads > budget.limit:
                budget.in_threads -= size
                raise BodiesFull(budget.limit)
            self._in_threads += size

    def __enter__(self) -> "BodyShare":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        budget = self._budget
        budget.on_loop -= self._on_loop
        # A thread goes on for a moment after its request was cancelled.
        self._is_closed = True
        if self._in_threads:
            with budget.lock:
                budget.in_threads -= self._in_threads
