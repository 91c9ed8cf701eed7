"""What the database is to hear, from what is wanted and what runs: pure, and level-triggered.

A report is due for as long as what is wanted does not know of it yet, so that none is lost: each is made again until
the database has taken it, and taking it twice changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from data_plane.host.running import Running
from data_plane.host.wanted import Goal, Wanted, WantedDeployment
from modelyard.core.domain.lifecycle import ProvisioningState


@dataclass(frozen=True, slots=True)
class GenerationReady:
    generation_id: int


@dataclass(frozen=True, slots=True)
class GenerationFailed:
    generation_id: int
    message: str


@dataclass(frozen=True, slots=True)
class Scaled:
    deployment_id: int
    instance_count: int


@dataclass(frozen=True, slots=True)
class ScalingFailed:
    deployment_id: int
    instance_count: int
    message: str


@dataclass(frozen=True, slots=True)
class Applied:
    revision: int


@dataclass(frozen=True, slots=True)
class DeploymentGone:
    deployment_id: int


@dataclass(frozen=True, slots=True)
class EndpointGone:
    endpoint_id: int


Report = GenerationReady | GenerationFailed | Scaled | ScalingFailed | Applied | DeploymentGone | EndpointGone


def due_reports(wanted: Wanted, running: Running) -> tuple[Report, ...]:
    return (*_of_candidates(wanted, running), *_of_scalings(wanted, running), *_of_gateways(wanted, running))


def _of_candidates(wanted: Wanted, running: Running) -> Iterator[Report]:
    for goal in wanted.goals:
        if not goal.is_candidate:
            continue
        reason = running.hopeless(goal)
        if reason is not None:
            yield GenerationFailed(goal.generation.id, _explained(reason, goal.deployment))
        elif running.is_ready(goal):
            yield GenerationReady(goal.generation.id)


def _of_scalings(wanted: Wanted, running: Running) -> Iterator[Report]:
    for deployment in wanted.deployments:
        if deployment.state == ProvisioningState.SCALING and deployment.awaits_revision is None:
            yield from _of_scaling(deployment, running)


def _of_scaling(deployment: WantedDeployment, running: Running) -> Iterator[Report]:
    count = deployment.instance_count
    if deployment.serving is None:
        nothing = "nothing serves that could be scaled; deploy a model first"
        yield ScalingFailed(deployment.id, count, nothing)
        return
    goal = Goal(deployment, deployment.serving)
    reason = running.hopeless(goal)
    if running.is_ready(goal) and not _surplus(goal, running):
        yield Scaled(deployment.id, count)
    elif reason is not None:
        yield ScalingFailed(deployment.id, count, _explained(reason, deployment))


def _surplus(goal: Goal, running: Running) -> bool:
    """Whether a worker that scaling down lets go of is still there."""
    places = goal.slots
    ours = (goal.deployment.id, goal.generation.number)
    return any(worker.slot[:2] == ours and worker.slot not in places for worker in running.workers)


def _of_gateways(wanted: Wanted, running: Running) -> Iterator[Report]:
    """What has come to its end now that no gateway knows otherwise."""
    if not running.gateways_are_current:
        return
    if wanted.awaits_gateways:
        yield Applied(wanted.revision)
    occupied = {worker.slot.deployment_id for worker in running.workers}
    for endpoint in wanted.endpoints:
        gone = [d for d in endpoint.deployments if d.is_being_deleted and d.id not in occupied]
        yield from (DeploymentGone(deployment.id) for deployment in gone)
        if endpoint.is_being_deleted and len(gone) == len(endpoint.deployments):
            yield EndpointGone(endpoint.id)


def _explained(reason: str, deployment: WantedDeployment) -> str:
    place = f"-n {deployment.name} -e {deployment.endpoint}"
    return f"{reason.rstrip('.')}. The model's log says more: modelyard online-deployment get-logs {place}"
