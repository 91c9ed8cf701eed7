"""Operations in the database."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from control_plane.resources.operations.operation import Operation, OperationKind
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db import rows
from modelyard.core.db.lifecycle import begin_operation, end_operation
from modelyard.core.db.rows import BatchDeploymentRow, GenerationRow, OnlineDeploymentRow, OperationRow
from modelyard.core.domain.lifecycle import GenerationState, OperationStatus, ProvisioningState
from modelyard.core.domain.operation_step import OperationStep, step_named
from modelyard.core.errors import ResourceNotFound


def start_operation(session: Session, workspace: Workspace, kind: OperationKind, resource_id: str) -> Operation:
    row = begin_operation(session, subscription=workspace.subscription, kind=kind, resource_id=resource_id)
    session.refresh(row)
    return _operation(row, workspace.location)


def record_finished(session: Session, workspace: Workspace, kind: OperationKind, resource_id: str) -> Operation:
    """An operation that has succeeded already, for a change that took effect at once.

    Clients of Azure's older SDKs read the result of a PUT wrongly unless the response names an operation.
    """
    row = begin_operation(session, subscription=workspace.subscription, kind=kind, resource_id=resource_id)
    end_operation(session, row.id)
    session.refresh(row)
    return _operation(row, workspace.location)


def get_operation(session: Session, subscription: str, location: str, operation_id: UUID) -> Operation:
    row = session.scalar(
        select(OperationRow).where(
            OperationRow.id == operation_id, func.lower(OperationRow.subscription) == subscription.lower()
        )
    )
    if row is None:
        raise no_operation()
    return _operation(row, location, _step(session, row))


def no_operation() -> ResourceNotFound:
    return ResourceNotFound("there is no such operation; operations are kept for 7 days after their end")


def last_operations(
    session: Session, resources: Sequence[rows.Endpoint] | Sequence[rows.Deployment]
) -> Sequence[Operation | None]:
    """The last operation of each endpoint or deployment, by one query.

    None: the retention has ended, or there was no operation.
    """
    ids = [resource.operation_id for resource in resources if resource.operation_id is not None]
    found = {row.id: row for row in session.scalars(select(OperationRow).where(OperationRow.id.in_(ids)))}
    return [
        _operation(found[resource.operation_id], resource.location) if resource.operation_id in found else None
        for resource in resources
    ]


def _operation(row: OperationRow, location: str, step: OperationStep | None = None) -> Operation:
    return Operation(
        id=row.id,
        subscription=row.subscription,
        location=location,
        kind=row.kind,
        resource_id=row.resource_id,
        status=OperationStatus(row.status),
        started_at=row.created_at,
        ended_at=row.ended_at,
        step=step,
        error=row.error,
    )


def _step(session: Session, row: OperationRow) -> OperationStep | None:
    """The current step of an operation. None: the operation has ended."""
    if row.status != OperationStatus.IN_PROGRESS:
        return None
    found = _wanted_generation(session, row, OnlineDeploymentRow, GenerationRow.deployment_id)
    found = found or _wanted_generation(session, row, BatchDeploymentRow, GenerationRow.batch_deployment_id)
    if found is None:
        return OperationStep.PRUNING if row.kind == OperationKind.PRUNE_ENVIRONMENTS else OperationStep.ROUTING
    return _named_step(*found)


def _wanted_generation(
    session: Session,
    row: OperationRow,
    deployment: type[OnlineDeploymentRow] | type[BatchDeploymentRow],
    owner: InstrumentedAttribute[int | None],
) -> tuple[str, str | None, str] | None:
    """State and step of the operation's generation, and the state of the deployment."""
    found = session.execute(
        select(GenerationRow.state, GenerationRow.step, deployment.provisioning_state)
        .join(deployment, and_(owner == deployment.id, GenerationRow.number == deployment.wanted_generation))
        .where(deployment.operation_id == row.id)
    ).first()
    return None if found is None else (found[0], found[1], found[2])


def _named_step(generation: str, step: str | None, provisioning: str) -> OperationStep:
    if provisioning == ProvisioningState.DELETING:
        return OperationStep.DRAINING_WORKERS
    if provisioning == ProvisioningState.SCALING:
        return OperationStep.SCALING
    if generation == GenerationState.QUEUED:
        return OperationStep.QUEUED
    if generation == GenerationState.SERVING:
        return OperationStep.ROUTING
    return step_named(step) or OperationStep.RESOLVING
