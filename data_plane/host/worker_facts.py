"""What `modelyard status` shows of workers: pure, from what is wanted and what runs."""

from dataclasses import dataclass

from data_plane.host.running import History, Running, RunningWorker
from data_plane.host.wanted import Goal, Slot, Wanted

_WAITING = "Waiting"


@dataclass(frozen=True, slots=True)
class WorkerFact:
    worker_id: str
    slot: Slot
    state: str
    pid: int | None
    restarts: int
    last_exit_reason: str | None
    started_at: float | None


def worker_facts(wanted: Wanted, running: Running) -> frozenset[WorkerFact]:
    """One for each worker, and one for each place that waits for its worker."""
    known = {deployment.id for deployment in wanted.deployments}
    workers = [worker for worker in running.workers if worker.slot.deployment_id in known]
    waiting = [
        _of_empty(slot, goal, running)
        for slot, goal in wanted.goal_by_slot.items()
        if slot not in running.worker_by_slot
    ]
    return frozenset([*(_of_worker(worker, running.history(worker.slot)) for worker in workers), *waiting])


def _of_worker(worker: RunningWorker, history: History) -> WorkerFact:
    return WorkerFact(
        worker_id=worker.worker_id,
        slot=worker.slot,
        state=worker.phase,
        pid=worker.pid,
        restarts=history.restarts,
        last_exit_reason=history.last_exit_reason,
        started_at=worker.started_at,
    )


def _of_empty(slot: Slot, goal: Goal, running: Running) -> WorkerFact:
    history = running.history(slot)
    return WorkerFact(
        worker_id="-".join(map(str, slot)),
        slot=slot,
        state=_WAITING,
        pid=None,
        restarts=history.restarts,
        last_exit_reason=running.preparation(goal).error or history.last_exit_reason,
        started_at=None,
    )
