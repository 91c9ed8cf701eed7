"""Batch endpoints in the database.

No process runs for a batch endpoint: a change or a deletion is complete when the transaction commits.
"""

from typing import Any

from sqlalchemy.orm import Session

from control_plane.features.batch_endpoints.endpoint import BatchEndpoint, BatchEndpointPatch, BatchEndpointSpec
from control_plane.resources.endpoints.repository import EndpointTable, apply_patch, apply_spec
from control_plane.resources.operations.operation import OperationKind
from control_plane.resources.operations.repository import start_operation
from modelyard.core.db.lifecycle import begin, cancel_operation, end_operation, succeed
from modelyard.core.db.rows import BatchDeploymentRow, BatchEndpointRow, OperationRow
from modelyard.core.domain.caller import Caller, CallerKind
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.errors import ReferencedResourceMissing


def _to_endpoint(shared: dict[str, Any], row: BatchEndpointRow) -> BatchEndpoint:
    return BatchEndpoint(**shared, default_deployment=row.default_deployment)


ENDPOINTS = EndpointTable("batch endpoint", "batchEndpoints", BatchEndpointRow, _to_endpoint)


def put_endpoint(session: Session, endpoint: BatchEndpoint, spec: BatchEndpointSpec) -> BatchEndpoint:
    row = ENDPOINTS.row_of(session, endpoint)
    apply_spec(row, spec)
    row.default_deployment = _checked_default(row, spec.default_deployment)
    return _changed(session, endpoint, row, OperationKind.PUT_ENDPOINT)


def patch_endpoint(session: Session, endpoint: BatchEndpoint, patch: BatchEndpointPatch) -> BatchEndpoint:
    row = ENDPOINTS.row_of(session, endpoint)
    apply_patch(row, patch)
    if patch.description is not None:
        row.description = patch.description
    if patch.default_deployment is not None:
        row.default_deployment = _checked_default(row, patch.default_deployment)
    return _changed(session, endpoint, row, OperationKind.PATCH_ENDPOINT)


def remove(session: Session, endpoint: BatchEndpoint) -> None:
    """Remove the endpoint with all deployments. Jobs stay, and unfinished jobs go on: a job needs no endpoint."""
    row = ENDPOINTS.row_of(session, endpoint)
    for deployment in row.deployments:
        record_removal(session, endpoint, deployment)
    session.delete(row)
    session.flush()


def record_removal(session: Session, endpoint: BatchEndpoint, deployment: BatchDeploymentRow) -> None:
    """Cancel the deployment's operation, and record the deletion as an operation that has ended."""
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


def _changed(session: Session, endpoint: BatchEndpoint, row: BatchEndpointRow, kind: OperationKind) -> BatchEndpoint:
    operation = start_operation(session, endpoint.workspace, kind, endpoint.arm_id)
    if row.provisioning_state == ProvisioningState.CREATING:
        row.operation_id = operation.id
    else:
        begin(row, ProvisioningState.UPDATING, session.get_one(OperationRow, operation.id))
    succeed(session, Caller("admin", CallerKind.USER), row)
    return ENDPOINTS.refreshed(session, endpoint.workspace, row)
