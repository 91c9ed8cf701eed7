"""Batch endpoints in the database. Whoever changes one holds its row's lock from the first look on.

Nothing runs for an endpoint: each change has succeeded, and each deletion is done, when its transaction is.
"""

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from control_plane.features.batch_endpoints.endpoint import Endpoint, EndpointPatch, EndpointSpec
from control_plane.resources.endpoints.credentials import AuthMode, EndpointKeys, key_digest
from control_plane.resources.operations.operation import OperationKind
from control_plane.resources.operations.repository import operation_of, start_operation
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.adapters.secret_box import SecretBox
from modelyard.core.db.lifecycle import begin, cancel_operation, end_operation, succeed
from modelyard.core.db.rows import BatchDeploymentRow, BatchEndpointRow, OperationRow
from modelyard.core.domain.caller import Caller, CallerKind
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.errors import NameTaken, ReferencedResourceMissing, ResourceNotFound

# Reading.


def get_endpoint(session: Session, workspace: Workspace, name: str) -> Endpoint:
    row = session.scalar(_named(workspace, name))
    if row is None:
        raise _missing(workspace, name)
    return _endpoint(session, workspace, row)


def list_endpoints(session: Session, workspace: Workspace, page: Page) -> Sequence[Endpoint]:
    query = select(BatchEndpointRow).where(BatchEndpointRow.workspace_id == workspace.key)
    rows = session.scalars(query.order_by(BatchEndpointRow.name).offset(page.skip).limit(page.top + 1))
    return [_endpoint(session, workspace, row) for row in rows]


def stored_keys(session: Session, endpoint: Endpoint, box: SecretBox) -> EndpointKeys:
    row = session.get_one(BatchEndpointRow, endpoint.key)
    return EndpointKeys(box.decrypt(row.primary_key_encrypted), box.decrypt(row.secondary_key_encrypted))


# Locking.


def find_for_change(session: Session, workspace: Workspace, name: str) -> Endpoint | None:
    """Locked for the rest of the transaction. Raises NameTaken when it is another workspace's."""
    row = session.scalar(select(BatchEndpointRow).where(BatchEndpointRow.name == name).with_for_update())
    if row is None:
        return None
    if row.workspace_id != workspace.key:
        raise NameTaken(
            f"the batch endpoint name {name!r} is in use in another workspace, and names are unique on the whole "
            "platform: choose another one",
            target="name",
        )
    return _endpoint(session, workspace, row)


def find_own_for_change(session: Session, workspace: Workspace, name: str) -> Endpoint | None:
    """Locked; None when this workspace has none of this name, whoever else has."""
    row = session.scalar(_named(workspace, name).with_for_update())
    return None if row is None else _endpoint(session, workspace, row)


def lock_endpoint(session: Session, workspace: Workspace, name: str) -> Endpoint:
    endpoint = find_own_for_change(session, workspace, name)
    if endpoint is None:
        raise _missing(workspace, name)
    return endpoint


# Changing.


def add_endpoint(session: Session, workspace: Workspace, name: str, keys: EndpointKeys, box: SecretBox) -> bool:
    """A bare row, to be filled by `apply_spec`. False: another request has just made it."""
    made = session.scalar(
        insert(BatchEndpointRow)
        .values(
            workspace_id=workspace.key,
            name=name,
            location=workspace.location,
            auth_mode=AuthMode.AAD_TOKEN,
            tags={},
            properties={},
            provisioning_state=ProvisioningState.CREATING,
            primary_key_encrypted=box.encrypt(keys.primary),
            secondary_key_encrypted=box.encrypt(keys.secondary),
            primary_key_digest=key_digest(keys.primary),
            secondary_key_digest=key_digest(keys.secondary),
        )
        .on_conflict_do_nothing()
        .returning(BatchEndpointRow.id)
    )
    return made is not None


def apply_spec(session: Session, endpoint: Endpoint, spec: EndpointSpec) -> Endpoint:
    row = session.get_one(BatchEndpointRow, endpoint.key)
    row.location = spec.location or row.location
    row.kind = spec.kind
    row.identity = dict(spec.identity) if spec.identity is not None else None
    row.tags = dict(spec.tags)
    row.properties = dict(spec.properties)
    row.description = spec.description
    row.auth_mode = spec.auth_mode
    row.default_deployment = _checked_default(row, spec.default_deployment)
    return _changed(session, endpoint, row, OperationKind.PUT_ENDPOINT)


def apply_patch(session: Session, endpoint: Endpoint, patch: EndpointPatch) -> Endpoint:
    row = session.get_one(BatchEndpointRow, endpoint.key)
    if patch.tags is not None:
        row.tags = dict(patch.tags)
    if patch.identity is not None:
        row.identity = dict(patch.identity)
    if patch.description is not None:
        row.description = patch.description
    if patch.default_deployment is not None:
        row.default_deployment = _checked_default(row, patch.default_deployment)
    return _changed(session, endpoint, row, OperationKind.PATCH_ENDPOINT)


def remove(session: Session, endpoint: Endpoint) -> None:
    """With its deployments. Its jobs stay, and those that are not done go on: they carry all they need."""
    row = session.get_one(BatchEndpointRow, endpoint.key)
    for deployment in row.deployments:
        record_removal(session, endpoint, deployment)
    session.delete(row)
    session.flush()


def record_removal(session: Session, endpoint: Endpoint, deployment: BatchDeploymentRow) -> None:
    """What is under way for a deployment ends with it."""
    cancel_operation(session, deployment.operation_id, f"{deployment.name!r} was deleted meanwhile")
    arm_id = f"{endpoint.arm_id}/deployments/{deployment.name}"
    operation = start_operation(session, endpoint.workspace, OperationKind.DELETE_DEPLOYMENT, arm_id)
    end_operation(session, operation.id)


def forget_default(session: Session, endpoint: Endpoint, deployment: str) -> None:
    row = session.get_one(BatchEndpointRow, endpoint.key)
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


def _changed(session: Session, endpoint: Endpoint, row: BatchEndpointRow, kind: OperationKind) -> Endpoint:
    operation = start_operation(session, endpoint.workspace, kind, endpoint.arm_id)
    if row.provisioning_state == ProvisioningState.CREATING:
        row.operation_id = operation.id
    else:
        begin(row, ProvisioningState.UPDATING, session.get_one(OperationRow, operation.id))
    succeed(session, Caller("admin", CallerKind.USER), row)
    session.flush()
    session.refresh(row)
    return _endpoint(session, endpoint.workspace, row)


def _named(workspace: Workspace, name: str) -> Select[BatchEndpointRow]:
    return select(BatchEndpointRow).where(BatchEndpointRow.workspace_id == workspace.key, BatchEndpointRow.name == name)


def _missing(workspace: Workspace, name: str) -> ResourceNotFound:
    return ResourceNotFound(
        f"there is no batch endpoint {name!r} in workspace {workspace.path.name!r}; PUT it to create it"
    )


def _endpoint(session: Session, workspace: Workspace, row: BatchEndpointRow) -> Endpoint:
    operation = session.get(OperationRow, row.operation_id) if row.operation_id else None
    return Endpoint(
        workspace=workspace,
        key=row.id,
        name=row.name,
        location=row.location,
        kind=row.kind,
        identity=row.identity,
        tags=row.tags,
        properties=row.properties,
        description=row.description,
        auth_mode=AuthMode(row.auth_mode),
        default_deployment=row.default_deployment,
        state=ProvisioningState(row.provisioning_state),
        operation=operation_of(operation, row.location) if operation else None,
        created_at=row.created_at,
        modified_at=row.modified_at,
    )
