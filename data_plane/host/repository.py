"""The host's reads and writes of the database. Each function is part of the caller's transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, delete, or_, select, text, true
from sqlalchemy.orm import Session

from data_plane.host.reports import (
    Applied,
    DeploymentGone,
    EndpointGone,
    GenerationFailed,
    GenerationReady,
    Report,
    Scaled,
    ScalingFailed,
)
from data_plane.host.wanted import Wanted, WantedDeployment, WantedEndpoint, WantedGeneration
from data_plane.host.worker_statuses import WorkerStatus
from modelyard.core.db import lifecycle
from modelyard.core.db.rows import (
    AccessTokenRow,
    AdminTokenRow,
    GenerationRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    RoutingRow,
    WantedChangeRow,
    WorkerRow,
    WorkspaceRow,
)
from modelyard.core.domain.caller import SYSTEM_HOST
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import GenerationState, ProvisioningState
from modelyard.core.domain.rate_limit import RateLimit
from modelyard.core.domain.resource_ids import workspace_id
from modelyard.core.domain.roles import Role
from modelyard.core.domain.routing import TokenRoute
from modelyard.core.errors import WorkerFailed

CHANGES = "wanted_changes"
"""The channel of the notifications about changes of the wanted state. The migrations define the triggers."""

_HOSTED = (GenerationState.BUILT, GenerationState.SERVING)
_BY_ROLE = "AADToken"
_MOST_CHANGES = 1000
"""More changed endpoints are read as all endpoints are: without a list of ids."""
_NEWS = text("SELECT desired, applied, EXISTS (SELECT FROM wanted_changes) FROM routing")


def has_news(session: Session, wanted: Wanted) -> bool:
    """Whether the wanted state has changed since the read of `wanted`. The cost does not grow with the endpoints."""
    desired, applied, has_changes = session.execute(_NEWS).one()
    return bool(has_changes) or (desired, applied) != (wanted.revision, wanted.applied)


def read_wanted(session: Session, last: Wanted | None = None) -> Wanted:
    """Read the wanted state as of one moment: all of it, or the changes since `last`.

    The caller's transaction is repeatable-read, and holds the lock of the host's lease: the read takes the changes off
    the record, so that a second reader would miss them.
    """
    changed = set(session.scalars(delete(WantedChangeRow).returning(WantedChangeRow.endpoint_id)))
    routing = session.execute(select(RoutingRow.desired, RoutingRow.applied)).one()
    if last is None or len(changed) > _MOST_CHANGES:
        endpoints = _endpoints(session, true())
    else:
        endpoints = _changed_endpoints(session, last, changed)
    return Wanted(revision=routing.desired, applied=routing.applied, endpoints=tuple(endpoints.values()))


def _changed_endpoints(session: Session, last: Wanted, changed: Set[int | None]) -> Mapping[int, WantedEndpoint]:
    """Return all endpoints by id; those outside `changed` are the objects of `last`."""
    endpoints = {endpoint.id: endpoint for endpoint in last.endpoints}
    ids = {endpoint_id for endpoint_id in changed if endpoint_id is not None}
    is_changed: ColumnElement[bool] = OnlineEndpointRow.id.in_(ids)
    if None in changed:
        is_changed = or_(is_changed, OnlineEndpointRow.auth_mode == _BY_ROLE)
    found = _endpoints(session, is_changed) if changed else {}
    for gone in ids - found.keys():
        endpoints.pop(gone, None)
    return {**endpoints, **found}


def _endpoints(session: Session, selection: ColumnElement[bool]) -> Mapping[int, WantedEndpoint]:
    """Read endpoints by id. `selection` is a condition on the endpoints' columns.

    Columns, and no objects of the mapper: the latter take three times the time for many endpoints.
    """
    deployments = _deployments(session, selection)
    rows = session.execute(
        select(
            OnlineEndpointRow.id,
            OnlineEndpointRow.name,
            OnlineEndpointRow.workspace_id,
            OnlineEndpointRow.provisioning_state,
            OnlineEndpointRow.auth_mode,
            OnlineEndpointRow.primary_key_digest,
            OnlineEndpointRow.secondary_key_digest,
            OnlineEndpointRow.token_public_key,
            OnlineEndpointRow.traffic,
            OnlineEndpointRow.mirror_traffic,
            OnlineEndpointRow.awaits_revision,
            OnlineEndpointRow.rate_limit,
        )
        .where(selection)
        .order_by(OnlineEndpointRow.id)
    ).all()
    workspaces = _workspaces(session, {row.workspace_id for row in rows})
    tokens = _token_routes(session, {row.workspace_id for row in rows if row.auth_mode == _BY_ROLE})
    return {
        row.id: WantedEndpoint(
            id=row.id,
            name=row.name,
            state=ProvisioningState(row.provisioning_state),
            auth_mode=row.auth_mode,
            key_digests=(row.primary_key_digest, row.secondary_key_digest),
            token_public_key=row.token_public_key,
            traffic=row.traffic,
            mirror_traffic=row.mirror_traffic,
            deployments=tuple(deployments.get(row.id, ())),
            awaits_revision=row.awaits_revision,
            workspace=workspaces[row.workspace_id],
            tokens=tokens[row.workspace_id] if row.auth_mode == _BY_ROLE else {},
            rate_limit=RateLimit.from_dict(row.rate_limit),
        )
        for row in rows
    }


def _workspaces(session: Session, ids: Set[int]) -> Mapping[int, str]:
    """Return ARM ids."""
    rows = session.scalars(select(WorkspaceRow).where(WorkspaceRow.id.in_(ids)))
    return {row.id: workspace_id(row.subscription, row.resource_group, row.name) for row in rows}


def _token_routes(session: Session, workspaces: Set[int]) -> Mapping[int, Mapping[str, TokenRoute]]:
    """Return the living access tokens, and the admin token, by digest, as each of the workspaces sees them.

    A short admin token has no digest that gateways may know: such a token does not score.
    """
    if not workspaces:
        return {}
    tokens = session.scalars(select(AccessTokenRow).where(AccessTokenRow.revoked_at.is_(None))).all()
    made = select(AdminTokenRow.sha256).where(AdminTokenRow.sha256.is_not(None))
    admins = {str(digest): TokenRoute(may_score=True, expires_at=None) for digest in session.scalars(made)}
    return {
        workspace: {**admins, **{token.digest: _token_route(token, workspace) for token in tokens}}
        for workspace in workspaces
    }


def _token_route(token: AccessTokenRow, workspace: int) -> TokenRoute:
    may_score = any(
        held.workspace_id in (None, workspace) and Role(held.role).includes(Role.SCORER) for held in token.roles
    )
    return TokenRoute(may_score, None if token.expires_at is None else token.expires_at.timestamp())


def _deployments(session: Session, selection: ColumnElement[bool]) -> Mapping[int, Sequence[WantedDeployment]]:
    """Read the deployments by the endpoint's id, in the order of their names."""
    generations = _generations(session, selection)
    rows = session.execute(
        select(
            OnlineDeploymentRow.id,
            OnlineDeploymentRow.endpoint_id,
            OnlineEndpointRow.name.label("endpoint"),
            OnlineEndpointRow.provisioning_state.label("endpoint_state"),
            OnlineDeploymentRow.name,
            OnlineDeploymentRow.provisioning_state,
            OnlineDeploymentRow.instance_count,
            OnlineDeploymentRow.serving_generation,
            OnlineDeploymentRow.wanted_generation,
            OnlineDeploymentRow.awaits_revision,
        )
        .join(OnlineEndpointRow)
        .where(selection)
        .order_by(OnlineDeploymentRow.name)
    )
    found = defaultdict(list)
    for row in rows:
        goes_with_endpoint = row.endpoint_state == ProvisioningState.DELETING
        serving = generations.get((row.id, row.serving_generation))
        candidate = generations.get((row.id, row.wanted_generation))
        found[row.endpoint_id].append(
            WantedDeployment(
                id=row.id,
                endpoint=row.endpoint,
                name=row.name,
                state=ProvisioningState.DELETING if goes_with_endpoint else ProvisioningState(row.provisioning_state),
                instance_count=row.instance_count,
                serving=serving[1] if serving and serving[0] == GenerationState.SERVING else None,
                candidate=candidate[1] if candidate and candidate[0] == GenerationState.BUILT else None,
                awaits_revision=row.awaits_revision,
            )
        )
    return found


GenerationKey = tuple[int, int]


def _generations(
    session: Session, selection: ColumnElement[bool]
) -> Mapping[GenerationKey, tuple[GenerationState, WantedGeneration]]:
    """Read the built and the serving generations by deployment id and number."""
    rows = session.execute(
        select(
            GenerationRow.id,
            GenerationRow.deployment_id,
            GenerationRow.number,
            GenerationRow.state,
            GenerationRow.spec,
            GenerationRow.bundle_hash,
            GenerationRow.lock_hash,
        )
        .join(OnlineDeploymentRow, GenerationRow.deployment_id == OnlineDeploymentRow.id)
        .join(OnlineEndpointRow)
        .where(GenerationRow.state.in_(_HOSTED), GenerationRow.bundle_hash.is_not(None), selection)
    )
    return {
        (row.deployment_id, row.number): (
            GenerationState(row.state),
            WantedGeneration(
                id=row.id,
                number=row.number,
                spec=DeploymentSpec.from_dict(row.spec),
                bundle_hash=row.bundle_hash,
                lock_hash=str(row.lock_hash),
            ),
        )
        for row in rows
    }


def apply_report(session: Session, report: Report) -> None:
    match report:
        case GenerationReady(generation_id):
            lifecycle.generation_ready(session, SYSTEM_HOST, generation_id)
        case GenerationFailed(generation_id, message):
            lifecycle.generation_failed(session, SYSTEM_HOST, generation_id, code=WorkerFailed.code, message=message)
        case Scaled(deployment_id, count):
            lifecycle.scaled(session, SYSTEM_HOST, deployment_id, instance_count=count)
        case ScalingFailed(deployment_id, count, message):
            code = WorkerFailed.code
            lifecycle.scaling_failed(
                session, SYSTEM_HOST, deployment_id, instance_count=count, code=code, message=message
            )
        case Applied(revision):
            lifecycle.record_applied(session, SYSTEM_HOST, revision)
        case DeploymentGone(deployment_id):
            lifecycle.deployment_deleted(session, SYSTEM_HOST, deployment_id)
        case EndpointGone(endpoint_id):
            lifecycle.endpoint_deleted(session, SYSTEM_HOST, endpoint_id)


def remove_other_workers(session: Session, statuses: Set[WorkerStatus]) -> None:
    """Remove the workers that are not in `statuses` from the record."""
    session.execute(delete(WorkerRow).where(WorkerRow.worker_id.not_in([status.worker_id for status in statuses])))


def write_workers(session: Session, statuses: Set[WorkerStatus]) -> None:
    """Write workers on record. The rows are for display: no decision reads them."""
    deployments = {status.slot.deployment_id for status in statuses}
    existing = set(session.scalars(select(OnlineDeploymentRow.id).where(OnlineDeploymentRow.id.in_(deployments))))
    for status in statuses:
        if status.slot.deployment_id in existing:
            session.merge(_worker_row(status))


def _worker_row(status: WorkerStatus) -> WorkerRow:
    return WorkerRow(
        worker_id=status.worker_id,
        deployment_id=status.slot.deployment_id,
        generation=status.slot.generation,
        slot=status.slot.number,
        protections=list(status.protections),
        state=status.state,
        pid=status.pid,
        restarts=status.restarts,
        last_exit_reason=status.last_exit_reason,
        started_at=None if status.started_at is None else datetime.fromtimestamp(status.started_at, UTC),
    )
