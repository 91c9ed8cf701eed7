"""Online endpoints in the database. A change is complete when every gateway has applied it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.features.online_endpoints.endpoint import OnlineEndpoint, OnlineEndpointSpec
from control_plane.resources.endpoints.credentials import EndpointKeys, KeyType, key_digest
from control_plane.resources.endpoints.endpoint import EndpointPatch
from control_plane.resources.endpoints.repository import EndpointTable, apply_patch, apply_spec
from control_plane.resources.operations.operation import Operation, OperationKind
from control_plane.resources.operations.repository import start_operation
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.adapters.secret_box import SecretBox
from modelyard.core.db.audit import audited, record
from modelyard.core.db.lifecycle import begin, cancel_operation, next_routing_revision
from modelyard.core.db.rows import OnlineDeploymentRow, OnlineEndpointRow, OperationRow
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.rate_limit import RateLimit
from modelyard.core.domain.tokens import TokenKeys
from modelyard.core.errors import EndpointBeingDeleted, OperationInProgress


def _to_endpoint(shared: dict[str, Any], row: OnlineEndpointRow) -> OnlineEndpoint:
    return OnlineEndpoint(
        **shared,
        public_network_access=row.public_network_access,
        traffic=row.traffic,
        mirror_traffic=row.mirror_traffic,
        rate_limit=RateLimit.from_dict(row.rate_limit),
    )


ENDPOINTS = EndpointTable("endpoint", "onlineEndpoints", OnlineEndpointRow, _to_endpoint)


# Reading.


def read_token_key(session: Session, caller: Caller, endpoint: OnlineEndpoint, box: SecretBox) -> str:
    row = ENDPOINTS.row_of(session, endpoint)
    record(session, caller, AuditAction.READ_TOKEN, row)
    return box.decrypt(row.token_key_encrypted)


def check_can_change(endpoint: OnlineEndpoint) -> None:
    if endpoint.state == ProvisioningState.DELETING:
        raise EndpointBeingDeleted(endpoint.name)
    if not endpoint.state.is_final:
        raise OperationInProgress(f"endpoint {endpoint.name!r}", endpoint.state)


def living_deployments(session: Session, endpoint: OnlineEndpoint) -> set[str]:
    """Names of the deployments that may receive traffic."""
    names = select(OnlineDeploymentRow.name).where(
        OnlineDeploymentRow.endpoint_id == endpoint.key,
        OnlineDeploymentRow.provisioning_state != ProvisioningState.DELETING,
    )
    return set(session.scalars(names))


# Changing.


def find_or_add(
    session: Session, workspace: Workspace, name: str, keys: EndpointKeys, box: SecretBox
) -> tuple[OnlineEndpoint, bool]:
    """The locked endpoint, and whether it is new."""
    token = TokenKeys.generate()
    return ENDPOINTS.find_or_add(
        session,
        workspace,
        name,
        keys,
        box,
        public_network_access="Enabled",
        traffic={},
        mirror_traffic={},
        token_key_encrypted=box.encrypt(token.private),
        token_public_key=token.public,
    )


def put_endpoint(
    session: Session, caller: Caller, endpoint: OnlineEndpoint, spec: OnlineEndpointSpec, *, is_new: bool
) -> OnlineEndpoint:
    row = ENDPOINTS.row_of(session, endpoint)
    if is_new:
        _apply(row, spec)
        row.operation_id = _start(session, endpoint, OperationKind.PUT_ENDPOINT).id
        row.awaits_revision = next_routing_revision(session)
        record(session, caller, AuditAction.CREATE, row, to_state=row.provisioning_state)
    else:
        with audited(session, caller, AuditAction.UPDATE, row):
            _apply(row, spec)
            _begin_update(session, endpoint, row, OperationKind.PUT_ENDPOINT)
    return ENDPOINTS.refreshed(session, endpoint.workspace, row)


def patch_endpoint(session: Session, caller: Caller, endpoint: OnlineEndpoint, patch: EndpointPatch) -> OnlineEndpoint:
    row = ENDPOINTS.row_of(session, endpoint)
    with audited(session, caller, AuditAction.UPDATE, row):
        apply_patch(row, patch)
        _begin_update(session, endpoint, row, OperationKind.PATCH_ENDPOINT)
    return ENDPOINTS.refreshed(session, endpoint.workspace, row)


def store_key(
    session: Session, caller: Caller, endpoint: OnlineEndpoint, kind: KeyType, key: str, box: SecretBox
) -> OnlineEndpoint:
    row = ENDPOINTS.row_of(session, endpoint)
    with audited(session, caller, AuditAction.REGENERATE_KEY, row):
        if kind == KeyType.PRIMARY:
            row.primary_key_encrypted, row.primary_key_digest = box.encrypt(key), key_digest(key)
        else:
            row.secondary_key_encrypted, row.secondary_key_digest = box.encrypt(key), key_digest(key)
        _begin_update(session, endpoint, row, OperationKind.REGENERATE_KEYS)
    return ENDPOINTS.refreshed(session, endpoint.workspace, row)


def begin_deletion(session: Session, caller: Caller, endpoint: OnlineEndpoint) -> OnlineEndpoint:
    """Begin to delete the endpoint with all deployments. The host ends the deletion when no worker is left."""
    row = ENDPOINTS.row_of(session, endpoint)
    for deployment in row.deployments:
        session.refresh(deployment, with_for_update=True)
        begin_deployment_deletion(session, caller, endpoint, deployment)
    with audited(session, caller, AuditAction.DELETE, row):
        _begin_deleting(session, row, _start(session, endpoint, OperationKind.DELETE_ENDPOINT))
        row.traffic = {}
        row.mirror_traffic = {}
    next_routing_revision(session)
    return ENDPOINTS.refreshed(session, endpoint.workspace, row)


def begin_deployment_deletion(
    session: Session, caller: Caller, endpoint: OnlineEndpoint, row: OnlineDeploymentRow
) -> None:
    if row.provisioning_state != ProvisioningState.DELETING:
        arm_id = f"{endpoint.arm_id}/deployments/{row.name}"
        operation = start_operation(session, endpoint.workspace, OperationKind.DELETE_DEPLOYMENT, arm_id)
        with audited(session, caller, AuditAction.DELETE, row):
            _begin_deleting(session, row, operation)


def _begin_deleting(session: Session, row: OnlineEndpointRow | OnlineDeploymentRow, operation: Operation) -> None:
    cancel_operation(session, row.operation_id, f"{row.name!r} was deleted meanwhile")
    begin(row, ProvisioningState.DELETING, session.get_one(OperationRow, operation.id))


def _apply(row: OnlineEndpointRow, spec: OnlineEndpointSpec) -> None:
    apply_spec(row, spec)
    row.public_network_access = spec.public_network_access
    row.traffic = _without_zeros(spec.split.percent_by_deployment)
    row.mirror_traffic = _without_zeros(spec.split.mirror)
    if spec.rate_limit is not None:
        row.rate_limit = spec.rate_limit.to_dict()


def _begin_update(session: Session, endpoint: OnlineEndpoint, row: OnlineEndpointRow, kind: OperationKind) -> None:
    operation = _start(session, endpoint, kind)
    begin(row, ProvisioningState.UPDATING, session.get_one(OperationRow, operation.id))
    row.awaits_revision = next_routing_revision(session)


def _start(session: Session, endpoint: OnlineEndpoint, kind: OperationKind) -> Operation:
    return start_operation(session, endpoint.workspace, kind, endpoint.arm_id)


def _without_zeros(percents: Mapping[str, int]) -> dict[str, int]:
    return {name: percent for name, percent in percents.items() if percent}
