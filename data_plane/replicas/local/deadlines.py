"""One timer for all the requests of a target: set for the earliest moment at which one of them has to be looked at.

A timer of its own for each request would cost more than everything else that is done to put it in the queue.
"""

import asyncio
import math
from collections.abc import Callable

from data_plane.replicas.local.pending_request import Waiting


class Deadlines:
    def __init__(self, look_at: Callable[[Waiting, float], None]) -> None:
        """`look_at(waiting, now)` is called once the deadline of one has passed, or the end of its patience."""
        self._look_at = look_at
        self._loop = asyncio.get_running_loop()
        self._present: dict[Waiting, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._set_for = math.inf

    def __len__(self) -> int:
        return len(self._present)

    def add(self, waiting: Waiting) -> None:
        self._present[waiting] = None
        self._set(min(waiting.deadline, waiting.patience_ends))

    def remove(self, waiting: Waiting) -> None:
        del self._present[waiting]

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, moment: float) -> None:
        if moment >= self._set_for:
            return
        self.close()
        self._set_for = moment
        self._timer = self._loop.call_at(moment, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        self._set_for = math.inf
        for waiting in list(self._present):
            if now >= min(waiting.deadline, waiting.patience_ends):
                self._look_at(waiting, now)
        self._set(min((_next_moment(waiting, now) for waiting in self._present), default=math.inf))


def _next_moment(waiting: Waiting, now: float) -> float:
    if waiting.is_settled:
        return math.inf
    return min(waiting.deadline, waiting.patience_ends) if waiting.patience_ends > now else waiting.deadline
