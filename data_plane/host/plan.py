"""The next actions, from the wanted and the observed state: pure, so that every case is a row in a table of tests.

Planning is level-triggered: an action stays in the plan until the observed state shows the effect.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from data_plane.host.observed import Observed, ObservedWorker
from data_plane.host.wanted import Goal, Slot, Wanted
from data_plane.replicas.port import Phase

# A drained worker exits at the drain deadline; after a grace the host kills the worker.
_DRAIN_GRACE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Prepare:
    """Fetch a generation's artifacts to the machine."""

    goal: Goal


@dataclass(frozen=True, slots=True)
class Start:
    slot: Slot
    goal: Goal


@dataclass(frozen=True, slots=True)
class Drain:
    """Drain an unrouted worker: the worker ends with the last connection."""

    worker_id: str
    seconds: float


class ExitCause(Enum):
    """Why a worker is killed, and so the chances of the next worker in the slot."""

    WORKER = "the worker failed: the next start may have to wait"
    MODEL = "the model is at fault: every further worker would end the same way"
    REQUEST = "one request is at fault: the next worker starts at once"
    SURPLUS = "the worker was one too many: its end is no failure"


@dataclass(frozen=True, slots=True)
class Kill:
    worker_id: str
    reason: str
    cause: ExitCause = ExitCause.WORKER


Action = Prepare | Start | Drain | Kill


def plan(wanted: Wanted, observed: Observed, now: float) -> tuple[Action, ...]:
    return (*_preparations(wanted, observed, now), *_starts(wanted, observed, now), *_ends(wanted, observed, now))


def is_settled(wanted: Wanted, observed: Observed) -> bool:
    """Whether every wanted worker serves, and no other worker runs: no later turn plans more without an event."""
    workers = observed.worker_by_slot
    return len(observed.workers) == len(workers) == len(wanted.goal_by_slot) and all(
        worker.slot in wanted.goal_by_slot and worker.phase == Phase.READY and not worker.may_be_succeeded
        for worker in observed.workers
    )


def _preparations(wanted: Wanted, observed: Observed, now: float) -> Iterator[Action]:
    for goal in wanted.goals:
        preparation = observed.preparation(goal)
        if not (preparation.is_done or preparation.is_under_way or now < preparation.start_at):
            yield Prepare(goal)


def _starts(wanted: Wanted, observed: Observed, now: float) -> Iterator[Action]:
    taken = observed.worker_by_slot
    for slot, goal in wanted.goal_by_slot.items():
        given_up = goal.is_candidate and observed.permanent_failure(goal) is not None
        may_start = observed.preparation(goal).is_done and now >= observed.history(slot).start_at
        is_free = slot not in taken or _needs_spare(taken[slot], observed)
        if is_free and may_start and not given_up:
            yield Start(slot, goal)


def _needs_spare(worker: ObservedWorker, observed: Observed) -> bool:
    return observed.is_alone(worker) and observed.has_room_beside(worker)


def _ends(wanted: Wanted, observed: Observed, now: float) -> Iterator[Action]:
    goals, in_slot = wanted.goal_by_slot, observed.worker_by_slot
    for worker in observed.workers:
        goal = goals.get(worker.slot)
        is_wanted = goal is not None and goal.generation.bundle_hash == worker.bundle_hash
        if worker.protocol_fault is not None:
            yield Kill(worker.worker_id, worker.protocol_fault)
        elif worker.phase == Phase.DRAINING:
            yield from _kill_if_drain_is_over(worker, now)
        elif goal is not None and is_wanted and (in_slot[worker.slot] is worker or observed.is_spare(worker)):
            yield from _check_probes(worker, goal, now)
            yield from _kill_if_stuck(worker, observed)
        elif goal is not None and is_wanted and worker.may_be_succeeded:
            yield from _check_probes(worker, goal, now)
            yield from _kill_if_succeeded(worker, observed)
        else:
            yield from _end_surplus(worker, observed)


def _kill_if_drain_is_over(worker: ObservedWorker, now: float) -> Iterator[Action]:
    if worker.ends_by is not None and now > worker.ends_by + _DRAIN_GRACE_SECONDS:
        yield Kill(worker.worker_id, "the worker did not end within the drain deadline")


def _check_probes(worker: ObservedWorker, goal: Goal, now: float) -> Iterator[Action]:
    spec = goal.generation.spec
    age = now - worker.started_at
    if worker.phase == Phase.STARTING and age > spec.readiness_probe.seconds_until_unhealthy:
        seconds = spec.readiness_probe.seconds_until_unhealthy
        yield Kill(worker.worker_id, f"the model was not loaded within {seconds:g} s (readinessProbe)", ExitCause.MODEL)
    counts = age > spec.liveness_probe.initial_delay_seconds
    if worker.phase != Phase.STARTING and counts and worker.missed_probes >= spec.liveness_probe.failure_threshold:
        yield Kill(worker.worker_id, f"the worker failed {worker.missed_probes} liveness probes in a row")


def _kill_if_stuck(worker: ObservedWorker, observed: Observed) -> Iterator[Action]:
    """Kill an overdue worker at once where memory allows no spare: a stuck worker serves no request."""
    is_stuck = worker.is_overdue and worker.phase == Phase.READY
    if is_stuck and observed.is_alone(worker) and not observed.has_room_beside(worker):
        yield Kill(worker.worker_id, _overdue(worker), ExitCause.REQUEST)


def _kill_if_succeeded(worker: ObservedWorker, observed: Observed) -> Iterator[Action]:
    """Kill an overdue worker whose spare is ready, once no gateway sends to the overdue worker."""
    if worker.is_overdue and observed.gateways_are_current:
        yield Kill(worker.worker_id, _overdue(worker), ExitCause.REQUEST)


def _overdue(worker: ObservedWorker) -> str:
    return f"a request was still running {worker.overdue_for or 0:.0f} s after its deadline"


def _end_surplus(worker: ObservedWorker, observed: Observed) -> Iterator[Action]:
    if worker.phase == Phase.STARTING:
        yield Kill(worker.worker_id, "the worker is no longer wanted", ExitCause.SURPLUS)
    elif observed.gateways_are_current:
        yield Drain(worker.worker_id, worker.drain_seconds)
