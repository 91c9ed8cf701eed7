"""Online endpoints in the database. Whoever changes one holds its row's lock from the first look on."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from control_plane.features.online_endpoints.endpoint import Endpoint, EndpointPatch, EndpointSpec
from control_plane.resources.endpoints.credentials import AuthMode, EndpointKeys, KeyType, key_digest
from control_plane.resources.operations.operation import Operation, OperationKind
from control_plane.resources.operations.repository import operation_of, start_operation
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.adapters.secret_box import SecretBox
from modelyard.core.db.lifecycle import begin, cancel_operation, next_routing_revision
from modelyard.core.db.rows import OnlineDeploymentRow, OnlineEndpointRow, OperationRow
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.tokens import TokenKeys
from modelyard.core.errors import EndpointBeingDeleted, NameTaken, OperationInProgress, ResourceNotFound

# Reading.


def get_endpoint(session: Session, workspace: Workspace, name: str) -> Endpoint:
    row = session.scalar(_named(workspace, name))
    if row is None:
        raise _missing(workspace, name)
    return _endpoint(session, workspace, row)


def list_endpoints(session: Session, workspace: Workspace, page: Page) -> Sequence[Endpoint]:
    query = select(OnlineEndpointRow).where(OnlineEndpointRow.workspace_id == workspace.key)
    rows = session.scalars(query.order_by(OnlineEndpointRow.name).offset(page.skip).limit(page.top + 1))
    return [_endpoint(session, workspace, row) for row in rows]


def stored_keys(session: Session, endpoint: Endpoint, box: SecretBox) -> EndpointKeys:
    row = session.get_one(OnlineEndpointRow, endpoint.key)
    return EndpointKeys(box.decrypt(row.primary_key_encrypted), box.decrypt(row.secondary_key_encrypted))


def token_key(session: Session, endpoint: Endpoint, box: SecretBox) -> str:
    return box.decrypt(session.get_one(OnlineEndpointRow, endpoint.key).token_key_encrypted)


# Locking.


def find_for_change(session: Session, workspace: Workspace, name: str) -> Endpoint | None:
    """Locked for the rest of the transaction. Raises NameTaken when it is another workspace's."""
    row = session.scalar(select(OnlineEndpointRow).where(OnlineEndpointRow.name == name).with_for_update())
    if row is None:
        return None
    if row.workspace_id != workspace.key:
        raise NameTaken(
            f"the endpoint name {name!r} is in use in another workspace, and names are unique on the whole platform: "
            "choose another one",
            target="name",
        )
    return _endpoint(session, workspace, row)


def find_own_for_change(session: Session, workspace: Workspace, name: str) -> Endpoint | None:
    """Locked; None when this workspace has none of this name, whoever else has."""
    row = session.scalar(_named(workspace, name).with_for_update())
    return None if row is None else _endpoint(session, workspace, row)


def lock_endpoint(session: Session, workspace: Workspace, name: str) -> Endpoint:
    """The endpoint that a deployment belongs to; nobody deletes it before the transaction ends."""
    endpoint = find_own_for_change(session, workspace, name)
    if endpoint is None:
        raise _missing(workspace, name)
    return endpoint


def check_can_change(endpoint: Endpoint) -> None:
    if endpoint.state == ProvisioningState.DELETING:
        raise EndpointBeingDeleted(endpoint.name)
    if not endpoint.state.is_final:
        raise OperationInProgress(f"endpoint {endpoint.name!r}", endpoint.state)


def living_deployments(session: Session, endpoint: Endpoint) -> set[str]:
    """Names of the deployments that may receive traffic."""
    names = select(OnlineDeploymentRow.name).where(
        OnlineDeploymentRow.endpoint_id == endpoint.key,
        OnlineDeploymentRow.provisioning_state != ProvisioningState.DELETING,
    )
    return set(session.scalars(names))


# Changing.


def add_endpoint(session: Session, workspace: Workspace, name: str, keys: EndpointKeys, box: SecretBox) -> bool:
    """A bare row, to be filled by `apply_spec`. False: another request has just made it."""
    token = TokenKeys.generate()
    made = session.scalar(
        insert(OnlineEndpointRow)
        .values(
            workspace_id=workspace.key,
            name=name,
            location=workspace.location,
            auth_mode=AuthMode.KEY,
            tags={},
            properties={},
            public_network_access="Enabled",
            traffic={},
            mirror_traffic={},
            provisioning_state=ProvisioningState.CREATING,
            primary_key_encrypted=box.encrypt(keys.primary),
            secondary_key_encrypted=box.encrypt(keys.secondary),
            primary_key_digest=key_digest(keys.primary),
            secondary_key_digest=key_digest(keys.secondary),
            token_key_encrypted=box.encrypt(token.private),
            token_public_key=token.public,
        )
        .on_conflict_do_nothing()
        .returning(OnlineEndpointRow.id)
    )
    return made is not None


def apply_spec(session: Session, endpoint: Endpoint, spec: EndpointSpec, *, is_new: bool) -> Endpoint:
    row = session.get_one(OnlineEndpointRow, endpoint.key)
    row.location = spec.location or row.location
    row.kind = spec.kind
    row.identity = dict(spec.identity) if spec.identity is not None else None
    row.tags = dict(spec.tags)
    row.properties = dict(spec.properties)
    row.description = spec.description
    row.auth_mode = spec.auth_mode
    row.public_network_access = spec.public_network_access
    row.traffic = _shares(spec.split.percent_by_deployment)
    row.mirror_traffic = _shares(spec.split.mirror)
    if is_new:
        operation = _begun(session, endpoint, OperationKind.PUT_ENDPOINT)
        row.operation_id = operation.id
        row.awaits_revision = next_routing_revision(session)
        return _refreshed(session, endpoint.workspace, row)
    return _update(session, endpoint, row, OperationKind.PUT_ENDPOINT)


def apply_patch(session: Session, endpoint: Endpoint, patch: EndpointPatch) -> Endpoint:
    row = session.get_one(OnlineEndpointRow, endpoint.key)
    if patch.tags is not None:
        row.tags = dict(patch.tags)
    if patch.identity is not None:
        row.identity = dict(patch.identity)
    return _update(session, endpoint, row, OperationKind.PATCH_ENDPOINT)


def store_key(session: Session, endpoint: Endpoint, kind: KeyType, key: str, box: SecretBox) -> Endpoint:
    row = session.get_one(OnlineEndpointRow, endpoint.key)
    if kind == KeyType.PRIMARY:
        row.primary_key_encrypted, row.primary_key_digest = box.encrypt(key), key_digest(key)
    else:
        row.secondary_key_encrypted, row.secondary_key_digest = box.encrypt(key), key_digest(key)
    return _update(session, endpoint, row, OperationKind.REGENERATE_KEYS)


def begin_deletion(session: Session, endpoint: Endpoint) -> Endpoint:
    """The endpoint and its deployments are on their way out; the host says when they are gone."""
    row = session.get_one(OnlineEndpointRow, endpoint.key)
    for deployment in row.deployments:
        session.refresh(deployment, with_for_update=True)
        begin_deployment_deletion(session, endpoint, deployment)
    _start_deleting(session, row, _begun(session, endpoint, OperationKind.DELETE_ENDPOINT))
    row.traffic = {}
    row.mirror_traffic = {}
    next_routing_revision(session)
    return _refreshed(session, endpoint.workspace, row)


def begin_deployment_deletion(session: Session, endpoint: Endpoint, row: OnlineDeploymentRow) -> None:
    if row.provisioning_state != ProvisioningState.DELETING:
        arm_id = f"{endpoint.arm_id}/deployments/{row.name}"
        operation = start_operation(session, endpoint.workspace, OperationKind.DELETE_DEPLOYMENT, arm_id)
        _start_deleting(session, row, operation)


def _start_deleting(session: Session, row: OnlineEndpointRow | OnlineDeploymentRow, operation: Operation) -> None:
    cancel_operation(session, row.operation_id, f"{row.name!r} was deleted meanwhile")
    begin(row, ProvisioningState.DELETING, session.get_one(OperationRow, operation.id))


def _update(session: Session, endpoint: Endpoint, row: OnlineEndpointRow, kind: OperationKind) -> Endpoint:
    """What changed takes effect when every gateway knows it."""
    operation = _begun(session, endpoint, kind)
    begin(row, ProvisioningState.UPDATING, session.get_one(OperationRow, operation.id))
    row.awaits_revision = next_routing_revision(session)
    return _refreshed(session, endpoint.workspace, row)


def _begun(session: Session, endpoint: Endpoint, kind: OperationKind) -> Operation:
    return start_operation(session, endpoint.workspace, kind, endpoint.arm_id)


def _refreshed(session: Session, workspace: Workspace, row: OnlineEndpointRow) -> Endpoint:
    session.flush()
    session.refresh(row)
    return _endpoint(session, workspace, row)


def _shares(percents: Mapping[str, int]) -> dict[str, int]:
    """A share of nothing is none."""
    return {name: percent for name, percent in percents.items() if percent}


def _named(workspace: Workspace, name: str) -> Select[OnlineEndpointRow]:
    return select(OnlineEndpointRow).where(
        OnlineEndpointRow.workspace_id == workspace.key, OnlineEndpointRow.name == name
    )


def _missing(workspace: Workspace, name: str) -> ResourceNotFound:
    return ResourceNotFound(f"there is no endpoint {name!r} in workspace {workspace.path.name!r}; PUT it to create it")


def _endpoint(session: Session, workspace: Workspace, row: OnlineEndpointRow) -> Endpoint:
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
        public_network_access=row.public_network_access,
        traffic=row.traffic,
        mirror_traffic=row.mirror_traffic,
        state=ProvisioningState(row.provisioning_state),
        operation=operation_of(operation, row.location) if operation else None,
        created_at=row.created_at,
        modified_at=row.modified_at,
    )
