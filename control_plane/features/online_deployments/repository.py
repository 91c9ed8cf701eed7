"""Online deployments in the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.features.online_deployments.deployment import OnlineDeployment, OnlineDeploymentSpec, Worker
from control_plane.features.online_endpoints.endpoint import OnlineEndpoint
from control_plane.features.online_endpoints.repository import begin_deployment_deletion
from control_plane.resources.deployments.references import ResolvedSpec
from control_plane.resources.deployments.repository import DeploymentTable, apply_spec
from control_plane.resources.operations.operation import OperationKind
from modelyard.core.db.audit import audited
from modelyard.core.db.lifecycle import next_routing_revision
from modelyard.core.db.rows import GenerationRow, OnlineDeploymentRow, WorkerRow
from modelyard.core.domain.audit import AuditAction, changed_fields
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.lifecycle import ProvisioningState


def _to_deployments(
    session: Session, found: Sequence[tuple[OnlineDeploymentRow, dict[str, Any]]]
) -> Sequence[OnlineDeployment]:
    keys = [row.id for row, _ in found]
    running = select(WorkerRow.deployment_id, WorkerRow.protections).where(
        WorkerRow.deployment_id.in_(keys), WorkerRow.pid.is_not(None)
    )
    protections: dict[int, list[list[str]]] = {key: [] for key in keys}
    for key, of_worker in session.execute(running):
        protections[key].append(of_worker)
    return [
        OnlineDeployment(**shared, instance_count=row.instance_count, protections=_common(protections[row.id]))
        for row, shared in found
    ]


def _common(protections: Sequence[list[str]]) -> tuple[str, ...] | None:
    if not protections:
        return None
    return tuple(name for name in protections[0] if all(name in of_worker for of_worker in protections))


DEPLOYMENTS = DeploymentTable("endpoint", OnlineDeploymentRow, GenerationRow.deployment_id, _to_deployments)


# Reading.


def list_workers(session: Session, deployment: OnlineDeployment) -> Sequence[Worker]:
    rows = session.scalars(
        select(WorkerRow)
        .where(WorkerRow.deployment_id == deployment.key)
        .order_by(WorkerRow.generation, WorkerRow.slot, WorkerRow.worker_id)
    )
    return [
        Worker(
            worker_id=row.worker_id,
            generation=row.generation,
            slot=row.slot,
            state=row.state,
            pid=row.pid,
            restarts=row.restarts,
            last_exit_reason=row.last_exit_reason,
            protections=tuple(row.protections),
            started_at=row.started_at,
            seen_at=row.seen_at,
        )
        for row in rows
    ]


def bundle_hash(session: Session, deployment: OnlineDeployment) -> str | None:
    """Of the serving generation, else of the wanted generation. None: the bundle is not built yet."""
    number = deployment.serving_generation or deployment.wanted_generation
    return DEPLOYMENTS.generation(session, deployment.key, number).bundle_hash


# Changing.


def replace_generation(
    session: Session,
    caller: Caller,
    endpoint: OnlineEndpoint,
    current: OnlineDeployment,
    spec: OnlineDeploymentSpec,
    resolved: ResolvedSpec,
) -> tuple[OnlineDeployment, int]:
    """Ask for a new generation; the serving generation goes on until the new one is ready. Returns also its id."""
    row = DEPLOYMENTS.row_of(session, current)
    changes = changed_fields(current.spec.to_dict(), resolved.spec.to_dict())
    with audited(session, caller, AuditAction.UPDATE, row, changes=changes):
        generation_id = DEPLOYMENTS.replace_generation(session, caller, endpoint, row, resolved)
        row.instance_count = spec.instance_count
        apply_spec(row, spec)
    return DEPLOYMENTS.refreshed(session, endpoint, row), generation_id


def scale(
    session: Session, caller: Caller, endpoint: OnlineEndpoint, current: OnlineDeployment, spec: OnlineDeploymentSpec
) -> OnlineDeployment:
    row = DEPLOYMENTS.row_of(session, current)
    with audited(session, caller, AuditAction.UPDATE, row):
        DEPLOYMENTS.begin_change(session, endpoint, row, ProvisioningState.SCALING, OperationKind.SCALE_DEPLOYMENT)
        row.instance_count = spec.instance_count
        apply_spec(row, spec)
    return DEPLOYMENTS.refreshed(session, endpoint, row)


def describe(
    session: Session, caller: Caller, endpoint: OnlineEndpoint, current: OnlineDeployment, spec: OnlineDeploymentSpec
) -> OnlineDeployment:
    row = DEPLOYMENTS.row_of(session, current)
    with audited(session, caller, AuditAction.UPDATE, row):
        apply_spec(row, spec)
        DEPLOYMENTS.record_description(session, endpoint, row)
    return DEPLOYMENTS.refreshed(session, endpoint, row)


def begin_deletion(
    session: Session, caller: Caller, endpoint: OnlineEndpoint, current: OnlineDeployment
) -> OnlineDeployment:
    row = DEPLOYMENTS.row_of(session, current)
    begin_deployment_deletion(session, caller, endpoint, row)
    next_routing_revision(session)
    return DEPLOYMENTS.refreshed(session, endpoint, row)
