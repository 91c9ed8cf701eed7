"""Queues the requests of a deployment and sends them to the model workers of the machine.

The least busy worker with room gets the next request, or a batch if the model allows batches. After a worker's death,
the request at work is sent again, the members of a batch at work are sent singly, and later batches are sent as if for
the first time. A request fails with 424 after two workers died while scoring the request alone. Every request ends at
the request's deadline. A retired replica without workers returns the queued requests.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence
from types import TracebackType

from data_plane.replicas.local.batching import Batching
from data_plane.replicas.local.deadlines import Deadlines
from data_plane.replicas.local.pending_request import Batch, Outcome, PendingRequest
from data_plane.replicas.local.worker_channel import WorkerChannel
from data_plane.replicas.local.worker_connection import ConnectionSettings
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

# Azure's default of 1 rejects an endpoint's second caller; 250 only bounds a burst.
_DEFAULT_CONCURRENCY = 250
# As in Azure: the limit of pending requests, at work or waiting, as a multiple of the concurrency.
_PENDING_FACTOR = 2
_MAX_DEATHS = 2
_FRAME_NUMBERS = 0xFFFFFFFF


class _Place:
    """A place among the pending requests. A class, because a generator costs several times as much.

    One object serves all requests, because a place has no state of its own.
    """

    __slots__ = ("_replica",)

    def __init__(self, replica: "LocalReplica") -> None:
        self._replica = replica

    def __enter__(self) -> None:
        replica = self._replica
        if replica.is_retired:
            raise ReplicaRetired
        if not replica.slot.enter(replica.max_pending):
            raise TooManyRequests(
                f"{replica.max_pending} requests are pending, the limit of deployment {replica.name!r}: send fewer "
                "at once, or raise instance_count or max_concurrent_requests_per_instance"
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._replica.slot.leave()


class LocalReplica:
    def __init__(
        self, route: DeploymentRoute, batching: Batching, slot: AdmissionSlot, settings: ConnectionSettings
    ) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._batching = batching
        self.slot = slot
        self._place = _Place(self)
        self._channels: dict[str, WorkerChannel] = {}
        self._queue: deque[PendingRequest] = deque()
        self._pending = Deadlines(self._on_due)
        self._numbers = itertools.count(1)
        self._delayed_dispatch: asyncio.TimerHandle | None = None
        self.is_retired = False
        self._arrays_differ = False
        """Whether a worker of the generation has seen another result for an array than for a DataFrame."""
        self.update(route)

    @property
    def is_ready(self) -> bool:
        return any(channel.is_ready for channel in self._channels.values())

    def update(self, route: DeploymentRoute) -> None:
        self._route = route
        self.name = route.name
        self._batching.update(route)
        self._concurrency = route.max_concurrent_requests_per_instance or _DEFAULT_CONCURRENCY
        self.max_pending = _PENDING_FACTOR * self._concurrency * max(1, route.instance_count)
        wanted = {worker.worker_id: worker for worker in route.workers}
        for worker_id in self._channels.keys() - wanted.keys():
            self._channels.pop(worker_id).retire()
        for worker_id in wanted.keys() - self._channels.keys():
            self._channels[worker_id] = WorkerChannel(wanted[worker_id], route.generation, self, self._settings)
        self._dispatch()

    def retire(self) -> None:
        self.is_retired = True
        self._reject_queued()
        self._release_if_empty()

    def place(self) -> _Place:
        return self._place

    async def score(self, request: ScoreRequest, deadline: float) -> ScoreResponse:
        if self.is_retired:
            raise ReplicaRetired
        pending = PendingRequest(
            request, self._loop.create_future(), self._loop.time(), deadline, self._route.max_queue_wait_seconds
        )
        self._pending.add(pending)
        try:
            pending.is_queued = True
            self._queue.append(pending)
            self._dispatch()
            return await pending.response
        finally:
            self._forget(pending)

    def _enqueue_first(self, requests: Sequence[PendingRequest]) -> None:
        for pending in reversed(requests):
            if not pending.is_settled:
                pending.is_queued = True
                self._queue.appendleft(pending)

    def _forget(self, pending: PendingRequest) -> None:
        """Remove an answered, failed or abandoned request."""
        self._pending.remove(pending)
        if pending.is_queued:
            pending.is_queued = False
            self._queue.remove(pending)
        if pending.batch is not None:
            pending.batch.awaited -= 1
        if self.is_retired:
            self._release_if_empty()

    # Dispatching requests to workers.

    def _dispatch(self) -> None:
        while self._queue:
            channel, load = self._least_busy()
            if channel is None:
                return
            now = self._loop.time()
            until = self._batching.delayed_until(self._queue, now)
            if until:
                self._dispatch_at(until)
                return
            self._send(channel, now, self._concurrency - load)

    def _send(self, channel: WorkerChannel, now: float, most: int) -> None:
        taken = self._batching.take(self._queue, now, most)
        for pending in taken:
            pending.is_queued = False
        batch = Batch(next(self._numbers) & _FRAME_NUMBERS, taken)
        try:
            frame = batch.frame(now, arrays_differ=self._arrays_differ)
        except Exception as error:  # noqa: BLE001 - any error comes from the values of these requests
            self._settle(batch, WorkerProtocolError(f"the request cannot be sent to a worker: {error!r}"))
        else:
            channel.send(batch, frame)

    def _least_busy(self) -> tuple[WorkerChannel | None, int]:
        """Return the channel, and the number of its unanswered requests."""
        chosen, lightest = None, self._concurrency
        max_batches = 1 if self._batching.is_on else 2
        for channel in self._channels.values():
            if channel.has_room(max_batches):
                load = channel.load
                if load < lightest:
                    chosen, lightest = channel, load
        return chosen, lightest

    def _dispatch_at(self, at: float) -> None:
        if self._delayed_dispatch is not None:
            self._delayed_dispatch.cancel()
        self._delayed_dispatch = self._loop.call_at(at, self._dispatch)

    # Called by the channels.

    def channel_ready(self) -> None:
        self._dispatch()

    def channel_answered(self, batch: Batch, outcome: Outcome) -> None:
        if isinstance(outcome, ScoreResponse) and outcome.arrays_differ:
            self._arrays_differ = True
        self._settle(batch, outcome)
        self._dispatch()

    def _settle(self, batch: Batch, outcome: Outcome) -> None:
        members = batch.split()
        outcomes = self._batching.outcomes(batch, outcome)
        if outcomes is None:
            self._retry_singly(members)
            return
        for pending, member_outcome in zip(members, outcomes, strict=True):
            pending.settle(member_outcome)

    def _retry_singly(self, members: Sequence[PendingRequest]) -> None:
        for pending in members:
            pending.make_single()
        self._enqueue_first(members)

    def channel_lost(self, unanswered: Sequence[Batch]) -> None:
        for position, batch in reversed(list(enumerate(unanswered))):
            members = batch.split()
            if position == 0:
                # Workers score batches in order: only the first batch can have killed the worker.
                self._record_death(batch)
            self._enqueue_first(members)
        if self.is_retired and not self.is_ready:
            self._reject_queued()
        self._dispatch()

    def _record_death(self, batch: Batch) -> None:
        for pending in batch.members:
            if not batch.is_single:
                pending.make_single()
                continue
            pending.deaths += 1
            if pending.deaths >= _MAX_DEATHS:
                pending.settle(WorkerDied())

    # Deadlines.

    def _on_due(self, pending: PendingRequest, now: float) -> None:
        is_sent = pending.batch is not None
        if now >= pending.deadline:
            if pending.batch is not None:
                pending.batch.is_overdue = True
            pending.settle(DeadlinePassed() if is_sent else self._unsent_error(NoWorkerInTime()))
        elif not is_sent and not pending.deaths:
            error = TooManyRequests(
                "every worker stayed busy for longer than max_queue_wait_ms: send fewer requests at once, or raise "
                "instance_count or max_queue_wait_ms"
            )
            pending.settle(self._unsent_error(error))

    def _unsent_error(self, when_busy: ScoringError) -> ScoringError:
        return when_busy if self.is_ready else NoReadyWorker(self.name)

    # Retiring.

    def _reject_queued(self) -> None:
        """Return the queued requests to the gateway, to be scored by another replica."""
        while self._queue:
            pending = self._queue.popleft()
            pending.is_queued = False
            pending.settle(ReplicaRetired())

    def _release_if_empty(self) -> None:
        if self.is_retired and not self._pending:
            self._pending.close()
            self.slot.release()
            for channel in self._channels.values():
                channel.retire()
