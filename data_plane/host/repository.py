"""The host's reads and writes of the database. Each function is part of the caller's transaction."""

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session, selectinload

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
    GenerationRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    RoutingRow,
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

_HOSTED = (GenerationState.BUILT, GenerationState.SERVING)

# Every version of a row has a new xmin: the text changes with every change of a row.
_FINGERPRINT = text(
    """
    SELECT md5(concat_ws('/',
        (SELECT string_agg(concat(desired, ',', applied), ';') FROM routing),
        (SELECT string_agg(concat(id, ',', xmin), ';' ORDER BY id) FROM online_endpoints),
        (SELECT string_agg(concat(id, ',', xmin), ';' ORDER BY id) FROM online_deployments),
        (SELECT string_agg(concat(id, ',', xmin), ';' ORDER BY id) FROM deployment_generations
            WHERE state IN ('Built', 'Serving')),
        (SELECT string_agg(concat(id, ',', revoked_at), ';' ORDER BY id) FROM access_tokens),
        (SELECT count(*) FROM role_assignments)))
    """
)


def fingerprint(session: Session) -> str:
    """Return a text that changes with the wanted state; cheap enough for five reads a second."""
    return str(session.scalar(_FINGERPRINT))


def read_wanted(session: Session) -> Wanted:
    """Read the wanted state as of one moment: the caller's transaction is repeatable-read."""
    routing = session.scalars(select(RoutingRow)).one()
    endpoints = select(OnlineEndpointRow).options(selectinload(OnlineEndpointRow.deployments))
    generations = _generations(session)
    rows = session.scalars(endpoints.order_by(OnlineEndpointRow.name)).all()
    workspaces = {row.id: row for row in session.scalars(select(WorkspaceRow))}
    living_tokens = session.scalars(select(AccessTokenRow).where(AccessTokenRow.revoked_at.is_(None))).all()
    return Wanted(
        revision=routing.desired,
        applied=routing.applied,
        endpoints=tuple(_endpoint(row, generations, workspaces[row.workspace_id], living_tokens) for row in rows),
    )


GenerationKey = tuple[int, int]


def _generations(session: Session) -> Mapping[GenerationKey, tuple[GenerationState, WantedGeneration]]:
    rows = session.scalars(
        select(GenerationRow).where(GenerationRow.state.in_(_HOSTED), GenerationRow.bundle_hash.is_not(None))
    )
    return {(row.deployment_id, row.number): _generation(row) for row in rows if row.deployment_id}


def _generation(row: GenerationRow) -> tuple[GenerationState, WantedGeneration]:
    wanted = WantedGeneration(
        id=row.id,
        number=row.number,
        spec=DeploymentSpec.from_dict(row.spec),
        bundle_hash=str(row.bundle_hash),
        lock_hash=str(row.lock_hash),
    )
    return GenerationState(row.state), wanted


def _endpoint(
    row: OnlineEndpointRow,
    generations: Mapping[GenerationKey, tuple[GenerationState, WantedGeneration]],
    workspace: WorkspaceRow,
    living_tokens: Sequence[AccessTokenRow],
) -> WantedEndpoint:
    state = ProvisioningState(row.provisioning_state)
    deployments = sorted(row.deployments, key=lambda deployment: deployment.name)
    return WantedEndpoint(
        id=row.id,
        name=row.name,
        state=state,
        auth_mode=row.auth_mode,
        key_digests=(row.primary_key_digest, row.secondary_key_digest),
        token_public_key=row.token_public_key,
        traffic=row.traffic,
        mirror_traffic=row.mirror_traffic,
        deployments=tuple(_deployment(deployment, row.name, state, generations) for deployment in deployments),
        awaits_revision=row.awaits_revision,
        workspace=workspace_id(workspace.subscription, workspace.resource_group, workspace.name),
        tokens={token.digest: _token_route(token, workspace) for token in living_tokens},
        rate_limit=RateLimit.from_dict(row.rate_limit),
    )


def _token_route(token: AccessTokenRow, workspace: WorkspaceRow) -> TokenRoute:
    may_score = any(
        held.workspace_id in (None, workspace.id) and Role(held.role).includes(Role.SCORER) for held in token.roles
    )
    return TokenRoute(may_score, None if token.expires_at is None else token.expires_at.timestamp())


def _deployment(
    row: OnlineDeploymentRow,
    endpoint: str,
    endpoint_state: ProvisioningState,
    generations: Mapping[GenerationKey, tuple[GenerationState, WantedGeneration]],
) -> WantedDeployment:
    goes_with_endpoint = endpoint_state == ProvisioningState.DELETING
    serving = generations.get((row.id, row.serving_generation or 0))
    candidate = generations.get((row.id, row.wanted_generation))
    return WantedDeployment(
        id=row.id,
        endpoint=endpoint,
        name=row.name,
        state=ProvisioningState.DELETING if goes_with_endpoint else ProvisioningState(row.provisioning_state),
        instance_count=row.instance_count,
        serving=serving[1] if serving and serving[0] == GenerationState.SERVING else None,
        candidate=candidate[1] if candidate and candidate[0] == GenerationState.BUILT else None,
        awaits_revision=row.awaits_revision,
    )


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
    existing = set(session.scalars(select(OnlineDeploymentRow.id)))
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
