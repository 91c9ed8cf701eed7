"""One deployment's requests and the guest workers of this machine that score them.

One queue: a request goes to the least busy worker with room, or waits for one. When a worker dies, the request it was
at work on is tried once more, and those behind it as if they had never been sent; a request whose workers died twice is
answered 424. Everything ends at the request's deadline.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence

from data_plane.gateway.refusals import DeadlinePassed, NoReadyWorker, Refusal, TooManyRequests, WorkerDied
from data_plane.gateway.target import Answer, ScoreRequest, TargetRetired
from data_plane.gateway.workers.waiting import Waiting
from data_plane.gateway.workers.worker_link import WorkerLink
from modelyard.core.domain.routing import DeploymentRoute

# Azure's default of 1 makes an endpoint refuse its second caller; this one bounds what a burst may pile up.
_DEFAULT_CONCURRENCY = 250
# As in Azure: this many times the concurrency may be here, scored or waiting.
_PENDING_FACTOR = 2
_MOST_DEATHS = 2
_REQUEST_ID_BITS = 0xFFFFFFFF


class LocalTarget:
    def __init__(self, route: DeploymentRoute) -> None:
        self._route = route
        self._links: dict[str, WorkerLink] = {}
        self._queue: deque[Waiting] = deque()
        self._numbers = itertools.count(1)
        self._present = 0
        self._retired = False
        self.update(route)

    @property
    def is_ready(self) -> bool:
        return any(link.is_ready for link in self._links.values())

    def update(self, route: DeploymentRoute) -> None:
        self._route = route
        wanted = {worker.guest_id: worker for worker in route.workers}
        for guest_id in self._links.keys() - wanted.keys():
            self._links.pop(guest_id).retire()
        for guest_id in wanted.keys() - self._links.keys():
            self._links[guest_id] = WorkerLink(wanted[guest_id], route.generation, self)
        self._dispatch()

    def retire(self) -> None:
        self._retired = True
        self._let_go_if_empty()

    async def score(self, request: ScoreRequest, deadline: float) -> Answer:
        if self._retired:
            raise TargetRetired
        if self._present >= self._most_present:
            raise TooManyRequests(
                f"{self._present} requests are pending, the limit of deployment {self._route.name!r}: send fewer at "
                "once, or raise instance_count or max_concurrent_requests_per_instance"
            )
        self._present += 1
        try:
            return await self._scored(request, deadline)
        finally:
            self._present -= 1
            self._let_go_if_empty()

    async def _scored(self, request: ScoreRequest, deadline: float) -> Answer:
        now = asyncio.get_running_loop().time()
        waiting = Waiting(next(self._numbers) & _REQUEST_ID_BITS, request, deadline - now)
        self._queue.append(waiting)
        self._dispatch()
        timers = self._timers(waiting, now, deadline)
        try:
            return await waiting.answer
        finally:
            for timer in timers:
                timer.cancel()
            self._forget(waiting)

    @property
    def _concurrency(self) -> int:
        return self._route.max_concurrent_requests_per_instance or _DEFAULT_CONCURRENCY

    @property
    def _most_present(self) -> int:
        return _PENDING_FACTOR * self._concurrency * max(1, len(self._route.workers))

    # Which request goes to which worker.

    def _dispatch(self) -> None:
        while self._queue:
            if self._queue[0].is_settled:
                self._queue.popleft()
                continue
            link = self._least_busy()
            if link is None:
                return
            link.send(self._queue.popleft())

    def _least_busy(self) -> WorkerLink | None:
        concurrency = self._concurrency
        chosen, lightest = None, concurrency
        for link in self._links.values():
            load = link.load
            if load < lightest and link.has_room(concurrency):
                chosen, lightest = link, load
        return chosen

    def link_has_room(self) -> None:
        self._dispatch()

    def link_lost(self, unanswered: list[Waiting]) -> None:
        if unanswered:
            # It scores one at a time and in order: only the first can have harmed it.
            self._blame(unanswered[0])
        self._queue.extendleft(waiting for waiting in reversed(unanswered) if not waiting.is_settled)
        self._dispatch()

    def _blame(self, waiting: Waiting) -> None:
        waiting.deaths += 1
        if waiting.deaths >= _MOST_DEATHS:
            waiting.refuse(WorkerDied())

    # How long a request may take.

    def _timers(self, waiting: Waiting, now: float, deadline: float) -> Sequence[asyncio.TimerHandle]:
        loop = asyncio.get_running_loop()
        at_the_deadline = loop.call_at(deadline, self._expire, waiting)
        patience = self._route.max_queue_wait_seconds
        if patience is None or waiting.is_sent:
            return (at_the_deadline,)
        return at_the_deadline, loop.call_at(now + patience, self._waited_too_long, waiting)

    def _expire(self, waiting: Waiting) -> None:
        waiting.refuse(DeadlinePassed() if waiting.is_sent else self._why_unsent(DeadlinePassed()))

    def _waited_too_long(self, waiting: Waiting) -> None:
        if not waiting.is_sent and not waiting.deaths:
            refusal = TooManyRequests(
                "every worker stayed busy for longer than max_queue_wait_ms: send fewer requests at once, or raise "
                "instance_count or max_queue_wait_ms"
            )
            waiting.refuse(self._why_unsent(refusal))

    def _why_unsent(self, when_busy: Refusal) -> Refusal:
        return when_busy if self.is_ready else NoReadyWorker(self._route.name)

    def _forget(self, waiting: Waiting) -> None:
        """A caller that hangs up leaves nothing in the queue."""
        if not waiting.is_sent and waiting in self._queue:
            self._queue.remove(waiting)

    # Letting go.

    def _let_go_if_empty(self) -> None:
        if self._retired and self._present == 0:
            for link in self._links.values():
                link.retire()
