"""What to do next, from what is wanted and what runs: pure, so that every case is a row in a table of tests.

Asked again a moment later, with the same answer still to be carried out, it says the same again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from data_plane.host.running import Phase, Running, RunningWorker
from data_plane.host.wanted import Goal, Slot, Wanted

# Beyond its deadline a worker ends by itself; after this it is not waited for.
_DRAIN_GRACE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Prepare:
    """Bring a generation's files to this machine."""

    goal: Goal


@dataclass(frozen=True, slots=True)
class Start:
    slot: Slot
    goal: Goal


@dataclass(frozen=True, slots=True)
class Drain:
    """No gateway routes to it any more: it ends when the last connection has closed."""

    worker_id: str
    seconds: float


class Fault(Enum):
    """What a worker's being killed says about the next one in its place."""

    WORKER = "it counts as a failure: another start may have to wait"
    MODEL = "another worker would come to the same end"
    REQUEST = "nothing, but it is worth knowing"
    NOBODY = "nothing: it was one too many"


@dataclass(frozen=True, slots=True)
class Kill:
    worker_id: str
    reason: str
    fault: Fault = Fault.WORKER


Action = Prepare | Start | Drain | Kill


def plan(wanted: Wanted, running: Running, now: float) -> tuple[Action, ...]:
    return (*_preparations(wanted, running, now), *_starts(wanted, running, now), *_ends(wanted, running, now))


def _preparations(wanted: Wanted, running: Running, now: float) -> Iterator[Action]:
    for goal in wanted.goals:
        preparation = running.preparation(goal)
        if not (preparation.is_done or preparation.is_under_way or now < preparation.start_at):
            yield Prepare(goal)


def _starts(wanted: Wanted, running: Running, now: float) -> Iterator[Action]:
    taken = running.worker_by_slot
    for slot, goal in wanted.goal_by_slot.items():
        given_up = goal.is_candidate and running.hopeless(goal) is not None
        may_start = running.preparation(goal).is_done and now >= running.history(slot).start_at
        is_free = slot not in taken or _needs_spare(taken[slot], running)
        if is_free and may_start and not given_up:
            yield Start(slot, goal)


def _needs_spare(worker: RunningWorker, running: Running) -> bool:
    return running.is_alone(worker) and running.has_room_beside(worker)


def _ends(wanted: Wanted, running: Running, now: float) -> Iterator[Action]:
    goals, in_slot = wanted.goal_by_slot, running.worker_by_slot
    for worker in running.workers:
        goal = goals.get(worker.slot)
        is_wanted = goal is not None and goal.generation.bundle_hash == worker.bundle_hash
        if worker.phase == Phase.DRAINING:
            yield from _hurry(worker, now)
        elif goal is not None and is_wanted and (in_slot[worker.slot] is worker or running.is_spare(worker)):
            yield from _examine(worker, goal, now)
            yield from _free_if_overdue(worker, running)
        elif goal is not None and is_wanted and worker.may_be_succeeded:
            yield from _examine(worker, goal, now)
            yield from _succeed(worker, running)
        else:
            yield from _dismiss(worker, running)


def _hurry(worker: RunningWorker, now: float) -> Iterator[Action]:
    if worker.ends_by is not None and now > worker.ends_by + _DRAIN_GRACE_SECONDS:
        yield Kill(worker.worker_id, "it did not end when it had been drained")


def _examine(worker: RunningWorker, goal: Goal, now: float) -> Iterator[Action]:
    spec = goal.generation.spec
    age = now - worker.started_at
    if worker.phase == Phase.LOADING and age > spec.readiness_probe.seconds_until_unhealthy:
        patience = spec.readiness_probe.seconds_until_unhealthy
        yield Kill(worker.worker_id, f"the model was not loaded within {patience:g} s (readinessProbe)", Fault.MODEL)
    counts = age > spec.liveness_probe.initial_delay_seconds
    if worker.phase != Phase.LOADING and counts and worker.missed_probes >= spec.liveness_probe.failure_threshold:
        yield Kill(worker.worker_id, f"it failed {worker.missed_probes} liveness probes in a row")


def _free_if_overdue(worker: RunningWorker, running: Running) -> Iterator[Action]:
    """At once where memory allows no spare: a worker that nobody can use serves nobody."""
    is_stuck = worker.is_overdue and worker.phase == Phase.READY
    if is_stuck and running.is_alone(worker) and not running.has_room_beside(worker):
        yield Kill(worker.worker_id, _overdue(worker), Fault.REQUEST)


def _succeed(worker: RunningWorker, running: Running) -> Iterator[Action]:
    """Its spare is ready; once the gateways know, nothing more is sent to it."""
    if worker.is_overdue and running.gateways_are_current:
        yield Kill(worker.worker_id, _overdue(worker), Fault.REQUEST)


def _overdue(worker: RunningWorker) -> str:
    return f"a request was still running {worker.overdue_for or 0:.0f} s after its deadline"


def _dismiss(worker: RunningWorker, running: Running) -> Iterator[Action]:
    if worker.phase == Phase.LOADING:
        yield Kill(worker.worker_id, "it is no longer wanted", Fault.NOBODY)
    elif running.gateways_are_current:
        yield Drain(worker.worker_id, worker.drain_seconds)
