"""The workers as `modelyard status` shows them: pure, from the wanted and the observed state."""

from dataclasses import dataclass

from data_plane.host.observed import Observed, ObservedWorker, RestartHistory
from data_plane.host.wanted import Goal, Slot, Wanted

_WAITING = "Waiting"


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    worker_id: str
    slot: Slot
    state: str
    pid: int | None
    restarts: int
    last_exit_reason: str | None
    started_at: float | None
    protections: tuple[str, ...] = ()


def worker_statuses(wanted: Wanted, observed: Observed) -> frozenset[WorkerStatus]:
    """Return a status for each worker and for each empty slot."""
    workers = [worker for worker in observed.workers if worker.slot.deployment_id in wanted.deployment_ids]
    waiting = [
        _of_empty(slot, goal, observed)
        for slot, goal in wanted.goal_by_slot.items()
        if slot not in observed.worker_by_slot
    ]
    return frozenset([*(_of_worker(worker, observed.history(worker.slot)) for worker in workers), *waiting])


def _of_worker(worker: ObservedWorker, history: RestartHistory) -> WorkerStatus:
    return WorkerStatus(
        worker_id=worker.worker_id,
        slot=worker.slot,
        state=worker.phase,
        pid=worker.pid,
        restarts=history.restarts,
        last_exit_reason=history.last_exit_reason,
        started_at=worker.started_at,
        protections=worker.protections,
    )


def _of_empty(slot: Slot, goal: Goal, observed: Observed) -> WorkerStatus:
    history = observed.history(slot)
    return WorkerStatus(
        worker_id="-".join(map(str, slot)),
        slot=slot,
        state=_WAITING,
        pid=None,
        restarts=history.restarts,
        last_exit_reason=observed.preparation(goal).error or history.last_exit_reason,
        started_at=None,
    )
