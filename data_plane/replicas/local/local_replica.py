"""One deployment's requests and the model workers of this machine that score them.

One queue: what waits goes to the least busy worker with room, as a batch where the model allows it. When a worker dies,
the request it was at work on is tried once more, the members of a batch are tried one by one, and those behind as if
they had never been sent; a request that was alone when its worker died, twice, is answered 424. Everything ends at the
request's deadline, and a target that is retired keeps nothing that it has no worker for.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence

from data_plane.replicas.local.batch import Batch
from data_plane.replicas.local.batching import Batching
from data_plane.replicas.local.deadlines import Deadlines
from data_plane.replicas.local.pending_request import Outcome, Waiting
from data_plane.replicas.local.worker_channel import WorkerLink
from data_plane.replicas.port import AdmissionSlot, ReplicaRetired, ScoreRequest, ScoreResponse
from data_plane.scoring.errors import (
    DeadlinePassed,
    NoReadyWorker,
    NoWorkerInTime,
    ScoringError,
    TooManyRequests,
    WorkerDied,
    WorkerProtocolError,
)
from modelyard.core.domain.routing import DeploymentRoute

# Azure's default of 1 makes an endpoint refuse its second caller; this one bounds what a burst may pile up.
_DEFAULT_CONCURRENCY = 250
# As in Azure: this many times the concurrency may be here, scored or waiting.
_PENDING_FACTOR = 2
_MOST_DEATHS = 2
_FRAME_NUMBERS = 0xFFFFFFFF


class LocalReplica:
    def __init__(self, route: DeploymentRoute, batching: Batching, slot: AdmissionSlot) -> None:
        self._loop = asyncio.get_running_loop()
        self._batching = batching
        self._slot = slot
        self._links: dict[str, WorkerLink] = {}
        self._queue: deque[Waiting] = deque()
        self._present = Deadlines(self._look_at)
        self._numbers = itertools.count(1)
        self._held_back: asyncio.TimerHandle | None = None
        self._retired = False
        self.update(route)

    @property
    def is_ready(self) -> bool:
        return any(link.is_ready for link in self._links.values())

    def update(self, route: DeploymentRoute) -> None:
        self._route = route
        self._batching.update(route)
        self._concurrency = route.max_concurrent_requests_per_instance or _DEFAULT_CONCURRENCY
        self._most_present = _PENDING_FACTOR * self._concurrency * max(1, route.instance_count)
        wanted = {worker.worker_id: worker for worker in route.workers}
        for worker_id in self._links.keys() - wanted.keys():
            self._links.pop(worker_id).retire()
        for worker_id in wanted.keys() - self._links.keys():
            self._links[worker_id] = WorkerLink(wanted[worker_id], route.generation, self)
        self._dispatch()

    def retire(self) -> None:
        self._retired = True
        self._turn_away()
        self._let_go_if_empty()

    async def score(self, request: ScoreRequest, deadline: float) -> ScoreResponse:
        if self._retired:
            raise ReplicaRetired
        if not self._slot.enter(self._most_present):
            raise TooManyRequests(
                f"{self._most_present} requests are pending, the limit of deployment {self._route.name!r}: send fewer "
                "at once, or raise instance_count or max_concurrent_requests_per_instance"
            )
        waiting = Waiting(request, self._loop.time(), deadline, self._route.max_queue_wait_seconds)
        self._present.add(waiting)
        try:
            self._enqueue(waiting)
            self._dispatch()
            return await waiting.answer
        finally:
            self._forget(waiting)

    def _enqueue(self, waiting: Waiting) -> None:
        waiting.is_queued = True
        self._queue.append(waiting)

    def _enqueue_first(self, some: Sequence[Waiting]) -> None:
        for waiting in reversed(some):
            if not waiting.is_settled:
                waiting.is_queued = True
                self._queue.appendleft(waiting)

    def _forget(self, waiting: Waiting) -> None:
        """It is answered, or refused, or its caller has hung up and leaves nothing behind."""
        self._present.remove(waiting)
        self._slot.leave()
        if waiting.is_queued:
            waiting.is_queued = False
            self._queue.remove(waiting)
        if waiting.batch is not None:
            waiting.batch.waited_for -= 1
        if self._retired:
            self._let_go_if_empty()

    # Which requests go to which worker.

    def _dispatch(self) -> None:
        while self._queue:
            link = self._least_busy()
            if link is None:
                return
            now = self._loop.time()
            until = self._batching.held_back_until(self._queue, now)
            if until:
                self._dispatch_at(until)
                return
            self._send(link, now)

    def _send(self, link: WorkerLink, now: float) -> None:
        taken = self._batching.take(self._queue, now, self._concurrency - link.load)
        for waiting in taken:
            waiting.is_queued = False
        batch = Batch(next(self._numbers) & _FRAME_NUMBERS, taken)
        try:
            frame = batch.frame(now)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is about this request's values
            self._settle(batch, WorkerProtocolError(f"the request cannot be sent to a worker: {error!r}"))
        else:
            link.send(batch, frame)

    def _least_busy(self) -> WorkerLink | None:
        chosen, lightest = None, self._concurrency
        deepest = 1 if self._batching.is_on else 2
        for link in self._links.values():
            load = link.load
            if load < lightest and link.has_room(deepest):
                chosen, lightest = link, load
        return chosen

    def _dispatch_at(self, moment: float) -> None:
        if self._held_back is not None:
            self._held_back.cancel()
        self._held_back = self._loop.call_at(moment, self._dispatch)

    # What the workers make of them.

    def link_has_room(self) -> None:
        self._dispatch()

    def link_answered(self, batch: Batch, outcome: Outcome) -> None:
        self._settle(batch, outcome)
        self._dispatch()

    def _settle(self, batch: Batch, outcome: Outcome) -> None:
        members = batch.disband()
        outcomes = self._batching.outcomes(batch, outcome)
        if outcomes is None:
            self._try_alone(members)
            return
        for waiting, its_outcome in zip(members, outcomes, strict=True):
            waiting.settle(its_outcome)

    def _try_alone(self, members: Sequence[Waiting]) -> None:
        for waiting in members:
            waiting.send_alone()
        self._enqueue_first(members)

    def link_lost(self, unanswered: Sequence[Batch]) -> None:
        for position, batch in reversed(list(enumerate(unanswered))):
            members = batch.disband()
            if position == 0:
                # It scores one batch at a time and in order: only the first can have harmed it.
                self._blame(batch)
            self._enqueue_first(members)
        if self._retired and not self.is_ready:
            self._turn_away()
        self._dispatch()

    def _blame(self, batch: Batch) -> None:
        for waiting in batch.members:
            if not batch.is_single:
                waiting.send_alone()
                continue
            waiting.deaths += 1
            if waiting.deaths >= _MOST_DEATHS:
                waiting.settle(WorkerDied())

    # How long a request may take.

    def _look_at(self, waiting: Waiting, now: float) -> None:
        is_sent = waiting.batch is not None
        if now >= waiting.deadline:
            if waiting.batch is not None:
                waiting.batch.is_overdue = True
            waiting.settle(DeadlinePassed() if is_sent else self._why_unsent(NoWorkerInTime()))
        elif not is_sent and not waiting.deaths:
            refusal = TooManyRequests(
                "every worker stayed busy for longer than max_queue_wait_ms: send fewer requests at once, or raise "
                "instance_count or max_queue_wait_ms"
            )
            waiting.settle(self._why_unsent(refusal))

    def _why_unsent(self, when_busy: ScoringError) -> ScoringError:
        return when_busy if self.is_ready else NoReadyWorker(self._route.name)

    # Letting go.

    def _turn_away(self) -> None:
        """Whoever is next scores what waits."""
        while self._queue:
            waiting = self._queue.popleft()
            waiting.is_queued = False
            waiting.settle(ReplicaRetired())

    def _let_go_if_empty(self) -> None:
        if self._retired and not self._present:
            self._present.close()
            self._slot.release()
            for link in self._links.values():
                link.retire()
