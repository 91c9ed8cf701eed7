"""Batch endpoints in the database.

No process runs for a batch endpoint: a change or a deletion is complete when the transaction commits.
"""

from typing import Any

from sqlalchemy.orm import Session

from control_plane.features.batch_endpoints.endpoint import BatchEndpoint, BatchEndpointPatch, BatchEndpointSpec
from control_plane.resources.endpoints.repository import EndpointTable, apply_patch, apply_spec
from control_plane.resources.operations.operation import Operation, OperationKind
from control_plane.resources.operations.repository import start_operation
from modelyard.core.db.audit import audited, record
from modelyard.core.db.lifecycle import begin, cancel_operation, end_operation, succeed
from modelyard.core.db.rows import BatchDeploymentRow, BatchEndpointRow, OperationRow
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.errors import ReferencedResourceMissing


def _to_endpoint(shared: dict[str, Any], row: BatchEndpointRow) -> BatchEndpoint:
    return BatchEndpoint(**shared, default_deployment=row.default_deployment)


ENDPOINTS = EndpointTable("batch endpoint", "batchEndpoints", BatchEndpointRow, _to_endpoint)


def put_endpoint(
    session: Session, caller: Caller, endpoint: BatchEndpoint, spec: BatchEndpointSpec, *, is_new: bool
) -> BatchEndpoint:
    row = ENDPOINTS.row_of(session, endpoint)
    if is_new:
        _apply(row, spec)
        row.operation_id = _start(session, endpoint, OperationKind.PUT_ENDPOINT).id
        record(session, caller, AuditAction.CREATE, row, to_state=row.provisioning_state)
    else:
        with audited(session, caller, AuditAction.UPDATE, row):
            _apply(row, spec)
            _begin_update(session, endpoint, row, OperationKind.PUT_ENDPOINT)
    succeed(session, caller, row)
    return ENDPOINTS.refreshed(session, endpoint.workspace, row)


def patch_endpoint(
    session: Session, caller: Caller, endpoint: BatchEndpoint, patch: BatchEndpointPatch
) -> BatchEndpoint:
    row = ENDPOINTS.row_of(session, endpoint)
    with audited(session, caller, AuditAction.UPDATE, row):
        apply_patch(row, patch)
        if patch.description is not None:
            row.description = patch.description
        if patch.default_deployment is not None:
            row.default_deployment = _checked_default(row, patch.default_deployment)
        _begin_update(session, endpoint, row, OperationKind.PATCH_ENDPOINT)
    succeed(session, caller, row)
    return ENDPOINTS.refreshed(session, endpoint.workspace, row)


def remove(session: Session, caller: Caller, endpoint: BatchEndpoint) -> None:
    """Remove the endpoint with all deployments. Jobs stay, and unfinished jobs go on: a job needs no endpoint."""
    row = ENDPOINTS.row_of(session, endpoint)
    for deployment in row.deployments:
        record_removal(session, caller, endpoint, deployment)
    record(session, caller, AuditAction.DELETE, row, from_state=row.provisioning_state)
    session.delete(row)
    session.flush()


def record_removal(session: Session, caller: Caller, endpoint: BatchEndpoint, deployment: BatchDeploymentRow) -> None:
    """Cancel the deployment's operation, and record the deletion as an operation that has ended."""
    record(session, caller, AuditAction.DELETE, deployment, from_state=deployment.provisioning_state)
    cancel_operation(session, deployment.operation_id, f"{deployment.name!r} was deleted meanwhile")
    arm_id = f"{endpoint.arm_id}/deployments/{deployment.name}"
    operation = start_operation(session, endpoint.workspace, OperationKind.DELETE_DEPLOYMENT, arm_id)
    end_operation(session, operation.id)


def forget_default(session: Session, endpoint: BatchEndpoint, deployment: str) -> None:
    row = ENDPOINTS.row_of(session, endpoint)
    if row.default_deployment == deployment:
        row.default_deployment = None


def _checked_default(row: BatchEndpointRow, name: str | None) -> str | None:
    if not name:
        return None
    name = name.lower()
    if name not in {deployment.name for deployment in row.deployments}:
        raise ReferencedResourceMissing(
            f"endpoint {row.name!r} has no deployment {name!r}: create the deployment first, then make it the default",
            target="properties.defaults.deploymentName",
        )
    return name


def _apply(row: BatchEndpointRow, spec: BatchEndpointSpec) -> None:
    apply_spec(row, spec)
    row.default_deployment = _checked_default(row, spec.default_deployment)


def _begin_update(session: Session, endpoint: BatchEndpoint, row: BatchEndpointRow, kind: OperationKind) -> None:
    operation = _start(session, endpoint, kind)
    begin(row, ProvisioningState.UPDATING, session.get_one(OperationRow, operation.id))


def _start(session: Session, endpoint: BatchEndpoint, kind: OperationKind) -> Operation:
    return start_operation(session, endpoint.workspace, kind, endpoint.arm_id)
