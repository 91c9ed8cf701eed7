"""State changes of endpoints, deployments, generations, builds, jobs and operations, which no other module makes.

State, reason, operation and audit event change together, in the caller's transaction. Every function may be repeated:
a second call changes no row and leaves no event.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from modelyard.core.db.audit import DeploymentRow, EndpointRow, audited, record
from modelyard.core.db.leases import Claim, finish, finish_all
from modelyard.core.db.rows import (
    BatchDeploymentRow,
    EnvironmentBuildRow,
    GenerationRow,
    JobRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    OperationRow,
    RoutingRow,
)
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.lifecycle import (
    BuildState,
    GenerationState,
    JobState,
    MiniBatchState,
    OperationStatus,
    ProvisioningState,
    check_transition,
)
from modelyard.core.domain.operation_step import OperationStep

ProvisionedRow = EndpointRow | DeploymentRow

_UNDER_WAY = (ProvisioningState.CREATING, ProvisioningState.UPDATING, ProvisioningState.SCALING)
_ENDED_GENERATIONS = (GenerationState.FAILED, GenerationState.RETIRED, GenerationState.SERVING)
_JOB_ACTIONS = {
    JobState.PREPARING: AuditAction.START,
    JobState.RUNNING: AuditAction.ADVANCE,
    JobState.FINALIZING: AuditAction.ADVANCE,
    JobState.CANCEL_REQUESTED: AuditAction.CANCEL,
    JobState.CANCELED: AuditAction.CANCEL,
    JobState.COMPLETED: AuditAction.SUCCEED,
    JobState.FAILED: AuditAction.FAIL,
}


# Operations.


def begin_operation(session: Session, *, subscription: str, kind: str, resource_id: str) -> OperationRow:
    operation = OperationRow(
        subscription=subscription, kind=kind, resource_id=resource_id, status=OperationStatus.IN_PROGRESS
    )
    session.add(operation)
    session.flush()
    return operation


def end_operation(session: Session, operation_id: UUID | None, error: dict[str, Any] | None = None) -> None:
    """Set Succeeded, or Failed with {"code", "message"}. An ended operation stays unchanged."""
    status = OperationStatus.FAILED if error else OperationStatus.SUCCEEDED
    _end_operation(session, operation_id, status, error)


def cancel_operation(session: Session, operation_id: UUID | None, reason: str) -> None:
    """Set Canceled, for an operation that a deletion overtakes. An ended operation stays unchanged."""
    _end_operation(session, operation_id, OperationStatus.CANCELED, {"code": "OperationCanceled", "message": reason})


def _end_operation(
    session: Session, operation_id: UUID | None, status: OperationStatus, error: dict[str, Any] | None
) -> None:
    session.execute(
        update(OperationRow)
        .where(OperationRow.id == operation_id, OperationRow.status == OperationStatus.IN_PROGRESS)
        .values(status=status, error=error, ended_at=func.clock_timestamp())
    )


# Endpoints and deployments.


def begin(row: ProvisionedRow, state: ProvisioningState, operation: OperationRow) -> None:
    """Start a change of an endpoint or deployment. `audited` around the whole change records the event."""
    check_transition(ProvisioningState(row.provisioning_state), state)
    row.provisioning_state = state
    row.operation_id = operation.id
    _await_no_revision(row)
    if isinstance(row, DeploymentRow):
        row.failure_code = row.failure_message = None


def succeed(session: Session, caller: Caller, row: ProvisionedRow) -> None:
    check_transition(ProvisioningState(row.provisioning_state), ProvisioningState.SUCCEEDED)
    with audited(session, caller, AuditAction.SUCCEED, row):
        row.provisioning_state = ProvisioningState.SUCCEEDED
    _await_no_revision(row)
    end_operation(session, row.operation_id)


def deployment_failed(session: Session, caller: Caller, deployment: DeploymentRow, *, code: str, message: str) -> None:
    check_transition(ProvisioningState(deployment.provisioning_state), ProvisioningState.FAILED)
    with audited(session, caller, AuditAction.FAIL, deployment):
        deployment.provisioning_state = ProvisioningState.FAILED
        deployment.failure_code, deployment.failure_message = code, message
    _await_no_revision(deployment)
    end_operation(session, deployment.operation_id, {"code": code, "message": message})


def deployment_deleted(session: Session, caller: Caller, deployment_id: int) -> None:
    """Remove the row of a deployment without workers, if the deployment or the endpoint is being deleted."""
    deployment = session.get(OnlineDeploymentRow, deployment_id, with_for_update=True)
    if deployment is None or not _is_being_deleted(deployment):
        return
    _remove(session, caller, deployment)


def endpoint_deleted(session: Session, caller: Caller, endpoint_id: int) -> None:
    """Remove the row of an endpoint that is being deleted, once the endpoint's last deployment is gone."""
    endpoint = session.get(OnlineEndpointRow, endpoint_id, with_for_update=True)
    if endpoint is None or endpoint.provisioning_state != ProvisioningState.DELETING or endpoint.deployments:
        return
    _remove(session, caller, endpoint)


def _is_being_deleted(deployment: OnlineDeploymentRow) -> bool:
    states = (deployment.provisioning_state, deployment.endpoint.provisioning_state)
    return ProvisioningState.DELETING in states


def _remove(session: Session, caller: Caller, row: OnlineEndpointRow | OnlineDeploymentRow) -> None:
    record(session, caller, AuditAction.REMOVE, row, from_state=row.provisioning_state)
    end_operation(session, row.operation_id)
    session.delete(row)
    session.flush()


def _await_no_revision(row: ProvisionedRow) -> None:
    # Gateways have no routes to batch endpoints.
    if isinstance(row, OnlineEndpointRow | OnlineDeploymentRow):
        row.awaits_revision = None


# Routing revisions.


def next_routing_revision(session: Session) -> int:
    """Ask for a new snapshot. Holds the routing row's lock, so that revisions are committed in order."""
    revision = session.scalar(update(RoutingRow).values(desired=RoutingRow.desired + 1).returning(RoutingRow.desired))
    if revision is None:
        raise LookupError("the routing row is missing: run the migrations")
    return int(revision)


def record_applied(session: Session, caller: Caller, revision: int) -> None:
    """Record that every gateway has applied `revision`: changes that waited for the revision have succeeded."""
    session.execute(update(RoutingRow).where(RoutingRow.applied < revision).values(applied=revision))
    for row in (*_waiting(session, OnlineEndpointRow, revision), *_waiting(session, OnlineDeploymentRow, revision)):
        succeed(session, caller, row)


def _waiting(
    session: Session, kind: type[OnlineEndpointRow] | type[OnlineDeploymentRow], revision: int
) -> Iterable[ProvisionedRow]:
    return session.scalars(
        select(kind)
        .where(kind.awaits_revision <= revision, kind.provisioning_state.in_(_UNDER_WAY))
        .with_for_update(skip_locked=True)
    )


# Generations.


def generation_building(session: Session, caller: Caller, generation_id: int) -> GenerationRow:
    """Record that the holder of the generation's lease builds."""
    generation = session.get_one(GenerationRow, generation_id)
    _move_generation(session, caller, AuditAction.START, generation, GenerationState.BUILDING)
    return generation


def generation_built(session: Session, caller: Caller, held: Claim, *, bundle_hash: str) -> bool:
    """Record the bundle of a generation: workers or jobs can start. False: another builder holds the lease."""
    check_transition(GenerationState.BUILDING, GenerationState.BUILT)
    step = OperationStep.STARTING_WORKERS
    if not finish(session, held, state=GenerationState.BUILT, bundle_hash=bundle_hash, step=step):
        return False
    generation = session.get_one(GenerationRow, held.key, populate_existing=True)
    before, after = GenerationState.BUILDING, GenerationState.BUILT
    record(session, caller, AuditAction.BUILD, generation, from_state=before, to_state=after)
    batch_generation_ready(session, caller, generation.id)
    return True


def generation_ready(session: Session, caller: Caller, generation_id: int) -> None:
    """Route to a generation with all workers ready, from the next snapshot on, and retire the generation before."""
    generation = session.get_one(GenerationRow, generation_id, with_for_update=True)
    deployment = session.get_one(OnlineDeploymentRow, generation.deployment_id, with_for_update=True)
    if _serve(session, caller, generation, deployment):
        deployment.awaits_revision = next_routing_revision(session)


def batch_generation_ready(session: Session, caller: Caller, generation_id: int) -> None:
    """Let the jobs of a batch deployment run a built generation. Online deployments stay unchanged."""
    generation = session.get_one(GenerationRow, generation_id, with_for_update=True)
    if generation.batch_deployment_id is None:
        return
    deployment = session.get_one(BatchDeploymentRow, generation.batch_deployment_id, with_for_update=True)
    if _serve(session, caller, generation, deployment) and deployment.provisioning_state in _UNDER_WAY:
        succeed(session, caller, deployment)


def _serve(session: Session, caller: Caller, generation: GenerationRow, deployment: DeploymentRow) -> bool:
    """False: the generation serves already, or the deployment wants a newer generation."""
    if generation.state != GenerationState.BUILT or deployment.wanted_generation != generation.number:
        return False
    _retire(session, caller, deployment)
    _move_generation(session, caller, AuditAction.SERVE, generation, GenerationState.SERVING)
    generation.step = None
    deployment.serving_generation = generation.number
    return True


def _retire(session: Session, caller: Caller, deployment: DeploymentRow) -> None:
    is_online = isinstance(deployment, OnlineDeploymentRow)
    column = GenerationRow.deployment_id if is_online else GenerationRow.batch_deployment_id
    serving = select(GenerationRow).where(column == deployment.id, GenerationRow.state == GenerationState.SERVING)
    for generation in session.scalars(serving.with_for_update()).all():
        _move_generation(session, caller, AuditAction.RETIRE, generation, GenerationState.RETIRED)


def generation_failed(session: Session, caller: Caller, generation_id: int, *, code: str, message: str) -> None:
    """Give up a generation: the deployment shows the reason, and goes on serving the generation before."""
    generation = session.get_one(GenerationRow, generation_id, with_for_update=True)
    if generation.state in _ENDED_GENERATIONS:
        return
    _move_generation(session, caller, AuditAction.FAIL, generation, GenerationState.FAILED)
    generation.lease_token = generation.lease_until = None
    deployment = _owner(session, generation)
    if deployment.wanted_generation == generation.number and deployment.provisioning_state in _UNDER_WAY:
        deployment_failed(session, caller, deployment, code=code, message=message)


def _owner(session: Session, generation: GenerationRow) -> DeploymentRow:
    if generation.batch_deployment_id is not None:
        return session.get_one(BatchDeploymentRow, generation.batch_deployment_id, with_for_update=True)
    return session.get_one(OnlineDeploymentRow, generation.deployment_id, with_for_update=True)


def _move_generation(
    session: Session, caller: Caller, action: AuditAction, generation: GenerationRow, state: GenerationState
) -> None:
    check_transition(GenerationState(generation.state), state)
    with audited(session, caller, action, generation):
        generation.state = state


# Environment builds, which belong to no workspace and leave no audit events.


def environment_building(session: Session, spec_hash: str) -> None:
    """Record that the holder of the build's lease builds, whatever the outcome of the last build."""
    build = session.get_one(EnvironmentBuildRow, spec_hash, populate_existing=True)
    for state in (BuildState.QUEUED, BuildState.BUILDING):
        if build.state not in (state, BuildState.BUILDING):
            check_transition(BuildState(build.state), state)
            build.state = state


def environment_built(session: Session, held: Claim, *, lock_hash: str, lock: str) -> bool:
    """Record the lock of a specification. False: another builder holds the lease."""
    check_transition(BuildState.BUILDING, BuildState.SUCCEEDED)
    return finish(session, held, state=BuildState.SUCCEEDED, lock_hash=lock_hash, lock=lock, error=None)


def environment_failed(session: Session, held: Claim, message: str) -> None:
    check_transition(BuildState.BUILDING, BuildState.FAILED)
    finish(session, held, state=BuildState.FAILED, error=message)


# Scaling.


def scaled(session: Session, caller: Caller, deployment_id: int, *, instance_count: int) -> None:
    """Record that the workers of a scaled deployment are ready. The scaling succeeds when the gateways know them.

    A report about another instance count, of an earlier scaling, is ignored.
    """
    deployment = _scaling_to(session, deployment_id, instance_count)
    if deployment is not None and deployment.awaits_revision is None:
        state = deployment.provisioning_state
        record(session, caller, AuditAction.SCALE, deployment, from_state=state, to_state=state)
        deployment.awaits_revision = next_routing_revision(session)


def scaling_failed(
    session: Session, caller: Caller, deployment_id: int, *, instance_count: int, code: str, message: str
) -> None:
    """Give up a scaling: the deployment shows the reason, and goes on with the present workers."""
    deployment = _scaling_to(session, deployment_id, instance_count)
    if deployment is not None:
        deployment_failed(session, caller, deployment, code=code, message=message)


def _scaling_to(session: Session, deployment_id: int, instance_count: int) -> OnlineDeploymentRow | None:
    deployment = session.get(OnlineDeploymentRow, deployment_id, with_for_update=True)
    if deployment is None or deployment.provisioning_state != ProvisioningState.SCALING:
        return None
    return deployment if deployment.instance_count == instance_count else None


# Jobs and mini-batches.


def move_job(session: Session, caller: Caller, job: JobRow, state: JobState) -> None:
    """Change the state of a locked job."""
    check_transition(JobState(job.state), state)
    with audited(session, caller, _JOB_ACTIONS[state], job):
        job.state = state


def end_job(session: Session, caller: Caller, job: JobRow, state: JobState, error: dict[str, Any] | None) -> None:
    """End a locked job; `error` is {"code", "message", "details"?} of a failure."""
    check_transition(JobState(job.state), state)
    with audited(session, caller, _JOB_ACTIONS[state], job):
        job.state = state
        job.error = error
    job.ended_at = session.scalar(select(func.clock_timestamp()))


def end_mini_batches(session: Session, held: Sequence[Claim], results: Sequence[Mapping[str, Any]]) -> bool:
    """Write the results of mini-batches of one claim, each with its `state`. Leaves no audit event.

    False: another batch worker holds a lease, and no result is written.
    """
    for result in results:
        check_transition(MiniBatchState.QUEUED, result["state"])
    return finish_all(session, held, results, ended_at=func.clock_timestamp())
