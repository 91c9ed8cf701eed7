"""Reports due to the database, from the wanted and the observed state: pure, and level-triggered.

A report is due until the wanted state shows the effect in the database, so that no report is lost. A repeated report
has no effect.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from data_plane.host.observed import Observed
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


def due_reports(wanted: Wanted, observed: Observed) -> tuple[Report, ...]:
    return (*_of_candidates(wanted, observed), *_of_scalings(wanted, observed), *_of_gateways(wanted, observed))


def _of_candidates(wanted: Wanted, observed: Observed) -> Iterator[Report]:
    for goal in wanted.goals:
        if not goal.is_candidate:
            continue
        reason = observed.permanent_failure(goal)
        if reason is not None:
            yield GenerationFailed(goal.generation.id, _with_advice(reason, goal.deployment))
        elif observed.is_ready(goal):
            yield GenerationReady(goal.generation.id)


def _of_scalings(wanted: Wanted, observed: Observed) -> Iterator[Report]:
    for deployment in wanted.active_deployments:
        if deployment.state == ProvisioningState.SCALING and deployment.awaits_revision is None:
            yield from _of_scaling(deployment, observed)


def _of_scaling(deployment: WantedDeployment, observed: Observed) -> Iterator[Report]:
    count = deployment.instance_count
    if deployment.serving is None:
        message = "the deployment serves no model yet, so there is nothing to scale; deploy a model first"
        yield ScalingFailed(deployment.id, count, message)
        return
    goal = Goal(deployment, deployment.serving)
    reason = observed.permanent_failure(goal)
    if observed.is_ready(goal) and not _has_surplus(goal, observed):
        yield Scaled(deployment.id, count)
    elif reason is not None:
        yield ScalingFailed(deployment.id, count, _with_advice(reason, deployment))


def _has_surplus(goal: Goal, observed: Observed) -> bool:
    """Whether a worker that scaling down removes is still there."""
    slots = goal.slots
    generation = (goal.deployment.id, goal.generation.number)
    return any(worker.slot[:2] == generation and worker.slot not in slots for worker in observed.workers)


def _of_gateways(wanted: Wanted, observed: Observed) -> Iterator[Report]:
    """Reports that depend on the gateways: every gateway has applied the current snapshot."""
    if not observed.gateways_are_current:
        return
    if wanted.awaits_gateways:
        yield Applied(wanted.revision)
    occupied = {worker.slot.deployment_id for worker in observed.workers}
    for endpoint in wanted.active_endpoints:
        gone = [d for d in endpoint.deployments if d.is_being_deleted and d.id not in occupied]
        yield from (DeploymentGone(deployment.id) for deployment in gone)
        if endpoint.is_being_deleted and len(gone) == len(endpoint.deployments):
            yield EndpointGone(endpoint.id)


def _with_advice(reason: str, deployment: WantedDeployment) -> str:
    names = f"-n {deployment.name} -e {deployment.endpoint}"
    return f"{reason.rstrip('.')}. The model's log says more: modelyard online-deployment get-logs {names}"
