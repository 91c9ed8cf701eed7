"""The observed state of the machine at a moment, frozen: with the wanted state, the input of planning."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from data_plane.host.wanted import Goal, Slot
from data_plane.replicas.port import Phase

_BACKOFF_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_STEADY_SECONDS = 60.0
_MAX_STARTS = 3
_OVERDUE_GRACE_SECONDS = 1.0
# Memory of a spare relative to the replaced worker: loading takes more than serving.
_SPARE_SHARE = 1.5


@dataclass(frozen=True, slots=True)
class ObservedWorker:
    worker_id: str
    slot: Slot
    bundle_hash: str
    socket: str
    pid: int
    phase: Phase
    started_at: float
    drain_seconds: float = 10.0
    """Longest remaining time of the worker's requests."""
    missed_probes: int = 0
    """Liveness probes without an answer, in a row."""
    protocol_fault: str | None = None
    """Why a gateway cannot read the worker's messages."""
    ends_by: float | None = None
    """Deadline of a draining worker."""
    overdue_for: float | None = None
    """Seconds since the deadline of the request at work."""
    memory: int = 0
    """Resident bytes; measured only for an overdue worker."""
    protections: tuple[str, ...] = ()
    """Names of the sandbox's protections in force."""

    @property
    def is_overdue(self) -> bool:
        """Whether the worker is busy with a request past the deadline."""
        return self.overdue_for is not None and self.overdue_for > _OVERDUE_GRACE_SECONDS

    @property
    def may_be_succeeded(self) -> bool:
        return self.is_overdue or self.phase == Phase.LOST


@dataclass(frozen=True, slots=True)
class RestartHistory:
    """Restart history of a worker slot."""

    restarts: int = 0
    failures: int = 0
    """In a row: reset once a worker has been ready for a minute."""
    last_exit_reason: str | None = None
    start_at: float = 0.0
    """Earliest time of the next start."""
    final_reason: str | None = None
    """Why every further start would fail like the last: the model's own error, or a readiness probe that ran out."""

    def failed(
        self, reason: str, *, now: float, ready_seconds: float = 0.0, final_reason: str | None = None
    ) -> "RestartHistory":
        failures = 1 if ready_seconds >= _STEADY_SECONDS else self.failures + 1
        return RestartHistory(
            restarts=self.restarts + 1,
            failures=failures,
            last_exit_reason=reason,
            start_at=now + backoff(failures),
            final_reason=final_reason,
        )

    def replaced(self, reason: str) -> "RestartHistory":
        """Count a restart without a failure."""
        return replace(self, restarts=self.restarts + 1, last_exit_reason=reason)

    @property
    def permanent_failure(self) -> str | None:
        """Why no new worker will serve in this slot; None while another start may succeed."""
        if self.final_reason is not None:
            return self.final_reason
        return self.last_exit_reason if self.failures >= _MAX_STARTS else None


def backoff(failures: int) -> float:
    """Return the seconds before the next start after `failures` failures in a row."""
    return _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1]


@dataclass(frozen=True, slots=True)
class Preparation:
    """Progress of fetching a generation's artifacts: model, bundle, environment."""

    is_done: bool = False
    is_under_way: bool = False
    failures: int = 0
    error: str | None = None
    start_at: float = 0.0

    def failed(self, error: str, *, now: float) -> "Preparation":
        failures = self.failures + 1
        return Preparation(failures=failures, error=error, start_at=now + backoff(failures))

    @property
    def permanent_failure(self) -> str | None:
        return self.error if self.failures >= _MAX_STARTS else None


@dataclass(frozen=True)
class Observed:
    workers: tuple[ObservedWorker, ...] = ()
    histories: Mapping[Slot, RestartHistory] = field(default_factory=dict)
    preparations: Mapping[int, Preparation] = field(default_factory=dict)
    """By generation id."""
    gateways_are_current: bool = False
    """Whether every gateway has applied the snapshot of the current wanted and ready state."""
    available_memory: int | None = None
    """Bytes; None where the system does not tell."""

    def history(self, slot: Slot) -> RestartHistory:
        return self.histories.get(slot, RestartHistory())

    def preparation(self, goal: Goal) -> Preparation:
        return self.preparations.get(goal.generation.id, Preparation())

    @cached_property
    def worker_by_slot(self) -> dict[Slot, ObservedWorker]:
        """A worker for each slot, draining workers left out."""
        return {slot: _holder(workers) for slot, workers in self._staying_by_slot.items()}

    @cached_property
    def _staying_by_slot(self) -> Mapping[Slot, Sequence[ObservedWorker]]:
        """In the order of their starts."""
        found: dict[Slot, list[ObservedWorker]] = defaultdict(list)
        for worker in self.workers:
            if worker.phase != Phase.DRAINING:
                found[worker.slot].append(worker)
        return found

    def is_alone(self, worker: ObservedWorker) -> bool:
        return len(self._staying_by_slot[worker.slot]) == 1

    def is_spare(self, worker: ObservedWorker) -> bool:
        """Whether the worker is to take over from the earlier worker in the slot."""
        first, *others = self._staying_by_slot[worker.slot]
        return first.may_be_succeeded and others[:1] == [worker]

    def has_room_beside(self, worker: ObservedWorker) -> bool:
        """Whether memory allows a spare for an overdue worker."""
        return worker.worker_id in self._with_room_beside

    @cached_property
    def _with_room_beside(self) -> set[str]:
        """Overdue workers share the available memory in order."""
        overdue = [worker for worker in self.workers if worker.is_overdue and worker.phase == Phase.READY]
        return set(_fitting(overdue, self.available_memory or 0))

    def is_ready(self, goal: Goal) -> bool:
        """Whether every worker of the goal is ready."""
        return all(self.ready_worker(slot, goal) is not None for slot in goal.slots)

    def ready_worker(self, slot: Slot, goal: Goal) -> ObservedWorker | None:
        worker = self.worker_by_slot.get(slot)
        if worker is None or worker.phase != Phase.READY or worker.bundle_hash != goal.generation.bundle_hash:
            return None
        return worker

    def permanent_failure(self, goal: Goal) -> str | None:
        """Why the goal will not be reached; None while it may still be reached."""
        reasons = (
            self.preparation(goal).permanent_failure,
            *(self.history(slot).permanent_failure for slot in goal.slots),
        )
        return next((reason for reason in reasons if reason is not None), None)


def _holder(workers: Sequence[ObservedWorker]) -> ObservedWorker:
    """The first worker of a slot, unless the first is overdue or lost and the next is ready to take over."""
    first, *others = workers
    if first.may_be_succeeded and others and others[0].phase == Phase.READY:
        return others[0]
    return first


def _fitting(workers: Iterable[ObservedWorker], memory: int) -> Iterator[str]:
    for worker in workers:
        needed = int(worker.memory * _SPARE_SHARE)
        if needed < memory:
            memory -= needed
            yield worker.worker_id
