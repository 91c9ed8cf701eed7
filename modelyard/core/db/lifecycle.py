"""The one door through which endpoints, deployments, generations and operations change state.

State, reason and operation change together, in the caller's transaction. Each function may be repeated: called for
what is already so, it changes nothing.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from modelyard.core.db.rows import (
    BatchDeploymentRow,
    BatchEndpointRow,
    GenerationRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    OperationRow,
    RoutingRow,
)
from modelyard.core.domain.lifecycle import (
    GenerationState,
    OperationStatus,
    ProvisioningState,
    check_transition,
)

DeploymentRow = OnlineDeploymentRow | BatchDeploymentRow
ProvisionedRow = OnlineEndpointRow | BatchEndpointRow | DeploymentRow

_UNDER_WAY = (ProvisioningState.CREATING, ProvisioningState.UPDATING, ProvisioningState.SCALING)


def begin_operation(session: Session, *, subscription: str, kind: str, resource_id: str) -> OperationRow:
    operation = OperationRow(
        subscription=subscription, kind=kind, resource_id=resource_id, status=OperationStatus.IN_PROGRESS
    )
    session.add(operation)
    session.flush()
    return operation


def end_operation(session: Session, operation_id: UUID | None, error: dict[str, Any] | None = None) -> None:
    """Succeeded, or Failed with {"code", "message"}. An operation that has ended stays as it ended."""
    status = OperationStatus.FAILED if error else OperationStatus.SUCCEEDED
    session.execute(
        update(OperationRow)
        .where(OperationRow.id == operation_id, OperationRow.status == OperationStatus.IN_PROGRESS)
        .values(status=status, error=error, ended_at=func.clock_timestamp())
    )


def cancel_operation(session: Session, operation_id: UUID | None, reason: str) -> None:
    """What was under way is overtaken by a deletion. An operation that has ended stays as it ended."""
    session.execute(
        update(OperationRow)
        .where(OperationRow.id == operation_id, OperationRow.status == OperationStatus.IN_PROGRESS)
        .values(
            status=OperationStatus.CANCELED,
            error={"code": "OperationCanceled", "message": reason},
            ended_at=func.clock_timestamp(),
        )
    )


def begin(row: ProvisionedRow, state: ProvisioningState, operation: OperationRow) -> None:
    """An endpoint or deployment starts to change."""
    check_transition(ProvisioningState(row.provisioning_state), state)
    row.provisioning_state = state
    row.operation_id = operation.id
    _await_nothing(row)
    if isinstance(row, DeploymentRow):
        row.failure_code = row.failure_message = None


def succeed(session: Session, row: ProvisionedRow) -> None:
    check_transition(ProvisioningState(row.provisioning_state), ProvisioningState.SUCCEEDED)
    row.provisioning_state = ProvisioningState.SUCCEEDED
    _await_nothing(row)
    end_operation(session, row.operation_id)


def _await_nothing(row: ProvisionedRow) -> None:
    """The gateways know nothing of batch endpoints."""
    if isinstance(row, OnlineEndpointRow | OnlineDeploymentRow):
        row.awaits_revision = None


def next_routing_revision(session: Session) -> int:
    """Ask for a new snapshot. Holds the routing row's lock, so that revisions are committed in their order."""
    revision = session.scalar(update(RoutingRow).values(desired=RoutingRow.desired + 1).returning(RoutingRow.desired))
    if revision is None:
        raise LookupError("the routing row is missing: run the migrations")
    return int(revision)


def record_applied(session: Session, revision: int) -> None:
    """Every gateway has applied `revision`: what waited for it has taken effect."""
    session.execute(update(RoutingRow).where(RoutingRow.applied < revision).values(applied=revision))
    for row in (*_waiting(session, OnlineEndpointRow, revision), *_waiting(session, OnlineDeploymentRow, revision)):
        succeed(session, row)


def _waiting(
    session: Session, kind: type[OnlineEndpointRow] | type[OnlineDeploymentRow], revision: int
) -> Iterable[ProvisionedRow]:
    return session.scalars(
        select(kind)
        .where(kind.awaits_revision <= revision, kind.provisioning_state.in_(_UNDER_WAY))
        .with_for_update(skip_locked=True)
    )


def generation_ready(session: Session, generation_id: int) -> None:
    """All workers of a built generation are ready: it serves from the next snapshot on, and the one before retires."""
    generation = session.get_one(GenerationRow, generation_id, with_for_update=True)
    deployment = session.get_one(OnlineDeploymentRow, generation.deployment_id, with_for_update=True)
    if generation.state != GenerationState.BUILT or deployment.wanted_generation != generation.number:
        return
    _retire(session, deployment)
    check_transition(GenerationState(generation.state), GenerationState.SERVING)
    generation.state = GenerationState.SERVING
    generation.step = None
    deployment.serving_generation = generation.number
    deployment.awaits_revision = next_routing_revision(session)


def batch_generation_ready(session: Session, generation_id: int) -> None:
    """A generation of a batch deployment is built: jobs run it from now on. Says nothing about an online one's."""
    generation = session.get_one(GenerationRow, generation_id, with_for_update=True, populate_existing=True)
    if generation.batch_deployment_id is None or generation.state != GenerationState.BUILT:
        return
    deployment = session.get_one(BatchDeploymentRow, generation.batch_deployment_id, with_for_update=True)
    if deployment.wanted_generation != generation.number:
        return
    _retire(session, deployment)
    check_transition(GenerationState.BUILT, GenerationState.SERVING)
    generation.state = GenerationState.SERVING
    generation.step = None
    deployment.serving_generation = generation.number
    if deployment.provisioning_state in _UNDER_WAY:
        succeed(session, deployment)


def _retire(session: Session, deployment: DeploymentRow) -> None:
    is_online = isinstance(deployment, OnlineDeploymentRow)
    column = GenerationRow.deployment_id if is_online else GenerationRow.batch_deployment_id
    session.execute(
        update(GenerationRow)
        .where(column == deployment.id, GenerationRow.state == GenerationState.SERVING)
        .values(state=GenerationState.RETIRED)
    )


def generation_failed(session: Session, generation_id: int, *, code: str, message: str) -> None:
    """A generation will never serve: the deployment shows why, and goes on serving what it served before."""
    generation = session.get_one(GenerationRow, generation_id, with_for_update=True)
    if generation.state in (GenerationState.FAILED, GenerationState.RETIRED, GenerationState.SERVING):
        return
    check_transition(GenerationState(generation.state), GenerationState.FAILED)
    generation.state = GenerationState.FAILED
    generation.lease_token = generation.lease_until = None
    deployment = _owner(session, generation)
    if deployment.wanted_generation == generation.number and deployment.provisioning_state in _UNDER_WAY:
        deployment_failed(session, deployment, code=code, message=message)


def _owner(session: Session, generation: GenerationRow) -> DeploymentRow:
    if generation.batch_deployment_id is not None:
        return session.get_one(BatchDeploymentRow, generation.batch_deployment_id, with_for_update=True)
    return session.get_one(OnlineDeploymentRow, generation.deployment_id, with_for_update=True)


def deployment_failed(session: Session, deployment: DeploymentRow, *, code: str, message: str) -> None:
    check_transition(ProvisioningState(deployment.provisioning_state), ProvisioningState.FAILED)
    deployment.provisioning_state = ProvisioningState.FAILED
    deployment.failure_code, deployment.failure_message = code, message
    _await_nothing(deployment)
    end_operation(session, deployment.operation_id, {"code": code, "message": message})


def scaled(session: Session, deployment_id: int, *, instance_count: int) -> None:
    """A deployment that was being scaled has its workers: it has succeeded when the gateways know them.

    Says nothing about a scaling that has begun since, to another count.
    """
    deployment = _scaling_to(session, deployment_id, instance_count)
    if deployment is not None and deployment.awaits_revision is None:
        deployment.awaits_revision = next_routing_revision(session)


def scaling_failed(session: Session, deployment_id: int, *, instance_count: int, code: str, message: str) -> None:
    """Not all workers asked for will start: the deployment shows why, and goes on with those it has."""
    deployment = _scaling_to(session, deployment_id, instance_count)
    if deployment is not None:
        deployment_failed(session, deployment, code=code, message=message)


def _scaling_to(session: Session, deployment_id: int, instance_count: int) -> OnlineDeploymentRow | None:
    deployment = session.get(OnlineDeploymentRow, deployment_id, with_for_update=True)
    if deployment is None or deployment.provisioning_state != ProvisioningState.SCALING:
        return None
    return deployment if deployment.instance_count == instance_count else None


def deployment_deleted(session: Session, deployment_id: int) -> None:
    """The workers of a deployment being deleted, alone or with its endpoint, are gone: so is its row."""
    deployment = session.get(OnlineDeploymentRow, deployment_id, with_for_update=True)
    if deployment is None or not _is_being_deleted(deployment):
        return
    end_operation(session, deployment.operation_id)
    session.delete(deployment)
    session.flush()


def _is_being_deleted(deployment: OnlineDeploymentRow) -> bool:
    states = (deployment.provisioning_state, deployment.endpoint.provisioning_state)
    return ProvisioningState.DELETING in states


def endpoint_deleted(session: Session, endpoint_id: int) -> None:
    """An endpoint being deleted goes when its last deployment has gone."""
    endpoint = session.get(OnlineEndpointRow, endpoint_id, with_for_update=True)
    if endpoint is None or endpoint.provisioning_state != ProvisioningState.DELETING or endpoint.deployments:
        return
    end_operation(session, endpoint.operation_id)
    session.delete(endpoint)
    session.flush()
