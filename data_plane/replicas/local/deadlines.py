"""A common timer for all requests of a replica, set for the earliest check of a request.

A timer for each request would cost more than the rest of queueing the request.
"""

import asyncio
import math
from collections.abc import Callable

from data_plane.replicas.local.pending_request import PendingRequest


class Deadlines:
    def __init__(self, on_due: Callable[[PendingRequest, float], None]) -> None:
        """`on_due(pending, now)` is called once the deadline, or the queue deadline, of a request has passed."""
        self._on_due = on_due
        self._loop = asyncio.get_running_loop()
        self._requests: dict[PendingRequest, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._set_for = math.inf

    def __len__(self) -> int:
        return len(self._requests)

    def add(self, pending: PendingRequest) -> None:
        self._requests[pending] = None
        if pending.deadline < self._set_for or pending.queue_deadline < self._set_for:
            self._set(min(pending.deadline, pending.queue_deadline))

    def remove(self, pending: PendingRequest) -> None:
        del self._requests[pending]

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, at: float) -> None:
        if at >= self._set_for:
            return
        self.close()
        self._set_for = at
        self._timer = self._loop.call_at(at, self._check)

    def _check(self) -> None:
        now = self._loop.time()
        self._set_for = math.inf
        for pending in list(self._requests):
            if now >= min(pending.deadline, pending.queue_deadline):
                self._on_due(pending, now)
        self._set(min((_next_check(pending, now) for pending in self._requests), default=math.inf))


def _next_check(pending: PendingRequest, now: float) -> float:
    if pending.is_settled:
        return math.inf
    return min(pending.deadline, pending.queue_deadline) if pending.queue_deadline > now else pending.deadline
