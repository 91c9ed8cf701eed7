"""What runs, as the host sees it at one moment: what planning looks at, frozen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from data_plane.host.wanted import Goal, Slot

_BACKOFF_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_STEADY_SECONDS = 60.0
_MOST_STARTS = 3


class Phase(StrEnum):
    LOADING = "Starting"
    READY = "Ready"
    LOST = "Lost"
    """Out of touch: it has ended, or is about to, or has closed the connection."""
    DRAINING = "Draining"


@dataclass(frozen=True, slots=True)
class RunningWorker:
    guest_id: str
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

    def history(self, slot: Slot) -> History:
        return self.histories.get(slot, History())

    def preparation(self, goal: Goal) -> Preparation:
        return self.preparations.get(goal.generation.id, Preparation())

    @cached_property
    def worker_by_slot(self) -> dict[Slot, RunningWorker]:
        """One worker a slot, and none that is on its way out."""
        staying = [worker for worker in self.workers if worker.phase != Phase.DRAINING]
        return {worker.slot: worker for worker in reversed(staying)}

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
