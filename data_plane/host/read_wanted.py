"""Reads what is wanted, all of it as of one moment: whoever calls is in a repeatable-read transaction."""

from collections.abc import Mapping

from sqlalchemy import select, text
from sqlalchemy.orm import Session, selectinload

from data_plane.host.wanted import Wanted, WantedDeployment, WantedEndpoint, WantedGeneration
from modelyard.core.db.rows import (
    GenerationRow,
    OnlineDeploymentRow,
    OnlineEndpointRow,
    RoutingRow,
)
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import GenerationState, ProvisioningState

_HOSTED = (GenerationState.BUILT, GenerationState.SERVING)

# Each version of a row has an xmin of its own, so this text changes whenever one of these rows does.
_FINGERPRINT = text(
    """
    SELECT md5(concat_ws('/',
        (SELECT string_agg(concat(desired, ',', applied), ';') FROM routing),
        (SELECT string_agg(concat(id, ',', xmin), ';' ORDER BY id) FROM online_endpoints),
        (SELECT string_agg(concat(id, ',', xmin), ';' ORDER BY id) FROM online_deployments),
        (SELECT string_agg(concat(id, ',', xmin), ';' ORDER BY id) FROM deployment_generations
            WHERE state IN ('Built', 'Serving'))))
    """
)


def fingerprint(session: Session) -> str:
    """A text that differs when what is wanted may differ: cheap enough for five times a second."""
    return str(session.scalar(_FINGERPRINT))


def read_wanted(session: Session) -> Wanted:
    routing = session.scalars(select(RoutingRow)).one()
    endpoints = select(OnlineEndpointRow).options(selectinload(OnlineEndpointRow.deployments))
    generations = _generations(session)
    rows = session.scalars(endpoints.order_by(OnlineEndpointRow.name))
    return Wanted(
        revision=routing.desired,
        applied=routing.applied,
        endpoints=tuple(_endpoint(row, generations) for row in rows),
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
    row: OnlineEndpointRow, generations: Mapping[GenerationKey, tuple[GenerationState, WantedGeneration]]
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
    )


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
