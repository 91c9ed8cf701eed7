"""What runs, as the host sees it at one moment: what planning looks at, frozen."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from data_plane.host.wanted import Goal, Slot

_BACKOFF_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_STEADY_SECONDS = 60.0
_MOST_STARTS = 3
_OVERDUE_GRACE_SECONDS = 1.0
# What a spare needs beside the worker that it is to replace: loading takes more than serving.
_SPARE_SHARE = 1.5


class Phase(StrEnum):
    LOADING = "Starting"
    READY = "Ready"
    LOST = "Lost"
    """Out of touch: it has ended, or is about to, or has closed the connection."""
    DRAINING = "Draining"


@dataclass(frozen=True, slots=True)
class RunningWorker:
    worker_id: str
    slot: Slot
    bundle_hash: str
    socket: str
    pid: int
    phase: Phase
    started_at: float
    drain_seconds: float = 10.0
    """How long its requests may still take."""
    missed_probes: int = 0
    """In a row."""
    ends_by: float | None = None
    """When a draining worker's time is over."""
    overdue_for: float | None = None
    """Seconds since the deadline of the request that it is at work on."""
    memory: int = 0
    """Bytes that it holds. Only looked at while it is overdue."""

    @property
    def is_overdue(self) -> bool:
        """Nobody waits for its answer any more, and nobody knows when it will be free."""
        return self.overdue_for is not None and self.overdue_for > _OVERDUE_GRACE_SECONDS

    @property
    def may_be_succeeded(self) -> bool:
        return self.is_overdue or self.phase == Phase.LOST


@dataclass(frozen=True, slots=True)
class History:
    """What befell the workers of one slot."""

    restarts: int = 0
    failures: int = 0
    """In a row: forgotten once a worker has been ready for a minute."""
    last_exit_reason: str | None = None
    start_at: float = 0.0
    """Not before this time does the next one start."""
    in_vain: str | None = None
    """Why another start would end as the last one did: the model's own error, or the loss of all patience."""

    def failed(self, reason: str, *, now: float, ready_seconds: float = 0.0, in_vain: str | None = None) -> "History":
        failures = 1 if ready_seconds >= _STEADY_SECONDS else self.failures + 1
        return History(
            restarts=self.restarts + 1,
            failures=failures,
            last_exit_reason=reason,
            start_at=now + backoff(failures),
            in_vain=in_vain,
        )

    def replaced(self, reason: str) -> "History":
        """It had to go, and that says nothing about how the next one will fare."""
        return replace(self, restarts=self.restarts + 1, last_exit_reason=reason)

    @property
    def hopeless(self) -> str | None:
        """Why a new worker will not come to serve in this slot."""
        if self.in_vain is not None:
            return self.in_vain
        return self.last_exit_reason if self.failures >= _MOST_STARTS else None


def backoff(failures: int) -> float:
    """Seconds before the next start after so many failures in a row."""
    return _BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1]


@dataclass(frozen=True, slots=True)
class Preparation:
    """Of a generation's files on this machine: model, bundle, environment."""

    is_done: bool = False
    is_under_way: bool = False
    failures: int = 0
    error: str | None = None
    start_at: float = 0.0

    def failed(self, error: str, *, now: float) -> "Preparation":
        failures = self.failures + 1
        return Preparation(failures=failures, error=error, start_at=now + backoff(failures))

    @property
    def hopeless(self) -> str | None:
        return self.error if self.failures >= _MOST_STARTS else None


@dataclass(frozen=True)
class Running:
    workers: tuple[RunningWorker, ...] = ()
    histories: Mapping[Slot, History] = field(default_factory=dict)
    preparations: Mapping[int, Preparation] = field(default_factory=dict)
    """By generation id."""
    gateways_are_current: bool = False
    """Whether every gateway has applied the snapshot of what is wanted and ready now."""
    available_memory: int | None = None
    """Bytes; None: the system does not tell."""

    def history(self, slot: Slot) -> History:
        return self.histories.get(slot, History())

    def preparation(self, goal: Goal) -> Preparation:
        return self.preparations.get(goal.generation.id, Preparation())

    @cached_property
    def worker_by_slot(self) -> dict[Slot, RunningWorker]:
        """One worker a slot, and none that is on its way out."""
        return {slot: _holder(workers) for slot, workers in self._staying_by_slot.items()}

    @cached_property
    def _staying_by_slot(self) -> Mapping[Slot, Sequence[RunningWorker]]:
        """In the order in which they came."""
        found: dict[Slot, list[RunningWorker]] = defaultdict(list)
        for worker in self.workers:
            if worker.phase != Phase.DRAINING:
                found[worker.slot].append(worker)
        return found

    def is_alone(self, worker: RunningWorker) -> bool:
        return len(self._staying_by_slot[worker.slot]) == 1

    def is_spare(self, worker: RunningWorker) -> bool:
        """Whether it is to take over from the worker before it in its slot."""
        first, *others = self._staying_by_slot[worker.slot]
        return first.may_be_succeeded and others[:1] == [worker]

    def has_room_beside(self, worker: RunningWorker) -> bool:
        """Whether memory allows a spare for an overdue worker."""
        return worker.worker_id in self._with_room_beside

    @cached_property
    def _with_room_beside(self) -> set[str]:
        """Those before it may need their share of what is available too."""
        overdue = [worker for worker in self.workers if worker.is_overdue and worker.phase == Phase.READY]
        return set(_fitting(overdue, self.available_memory or 0))

    def is_ready(self, goal: Goal) -> bool:
        """Whether every worker that the goal asks for is ready."""
        return all(self.ready_worker(slot, goal) is not None for slot in goal.slots)

    def ready_worker(self, slot: Slot, goal: Goal) -> RunningWorker | None:
        worker = self.worker_by_slot.get(slot)
        if worker is None or worker.phase != Phase.READY or worker.bundle_hash != goal.generation.bundle_hash:
            return None
        return worker

    def hopeless(self, goal: Goal) -> str | None:
        """Why the goal will not be reached; None while there is hope."""
        reasons = (self.preparation(goal).hopeless, *(self.history(slot).hopeless for slot in goal.slots))
        return next((reason for reason in reasons if reason is not None), None)


def _holder(workers: Sequence[RunningWorker]) -> RunningWorker:
    """Of those in one slot the first, unless it is overdue or lost and the next is ready to take its place."""
    first, *others = workers
    if first.may_be_succeeded and others and others[0].phase == Phase.READY:
        return others[0]
    return first


def _fitting(workers: Iterable[RunningWorker], memory: int) -> Iterator[str]:
    for worker in workers:
        needed = int(worker.memory * _SPARE_SHARE)
        if needed < memory:
            memory -= needed
            yield worker.worker_id
