"""Online deployments in the database. Whoever changes one holds its endpoint's lock, and then its own."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.features.online_deployments.deployment import OnlineDeployment, OnlineDeploymentSpec, Worker
from control_plane.features.online_endpoints.endpoint import Endpoint
from control_plane.features.online_endpoints.repository import begin_deployment_deletion
from control_plane.resources.deployments.failure import Failure
from control_plane.resources.deployments.references import ResolvedSpec
from control_plane.resources.operations.operation import OperationKind
from control_plane.resources.operations.repository import operation_of, start_operation
from control_plane.resources.paging import Page
from modelyard.core.db.lifecycle import begin, next_routing_revision
from modelyard.core.db.rows import (
    GenerationRow,
    OnlineDeploymentRow,
    OperationRow,
    WorkerRow,
)
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import GenerationState, ProvisioningState
from modelyard.core.errors import ResourceNotFound

_FIRST = 1


# Reading.


def get_deployment(session: Session, endpoint: Endpoint, name: str, *, lock: bool = False) -> OnlineDeployment:
    found = find_deployment(session, endpoint, name, lock=lock)
    if found is None:
        raise ResourceNotFound(f"endpoint {endpoint.name!r} has no deployment {name!r}")
    return found


def find_deployment(session: Session, endpoint: Endpoint, name: str, *, lock: bool = False) -> OnlineDeployment | None:
    query = select(OnlineDeploymentRow).where(
        OnlineDeploymentRow.endpoint_id == endpoint.key, OnlineDeploymentRow.name == name
    )
    row = session.scalar(query.with_for_update() if lock else query)
    return None if row is None else _deployment(session, endpoint, row)


def list_deployments(session: Session, endpoint: Endpoint, page: Page) -> Sequence[OnlineDeployment]:
    rows = session.scalars(
        select(OnlineDeploymentRow)
        .where(OnlineDeploymentRow.endpoint_id == endpoint.key)
        .order_by(OnlineDeploymentRow.name)
        .offset(page.skip)
        .limit(page.top + 1)
    )
    return [_deployment(session, endpoint, row) for row in rows]


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
            started_at=row.started_at,
            seen_at=row.seen_at,
        )
        for row in rows
    ]


def bundle_hash(session: Session, deployment: OnlineDeployment) -> str | None:
    """Of the generation that serves, else of the one that is to."""
    number = deployment.serving_generation or deployment.wanted_generation
    return _generation(session, deployment.key, number).bundle_hash


# Changing.


def add_deployment(
    session: Session, endpoint: Endpoint, name: str, spec: OnlineDeploymentSpec, resolved: ResolvedSpec
) -> tuple[OnlineDeployment, int]:
    """The deployment and the id of its first generation."""
    row = OnlineDeploymentRow(
        endpoint_id=endpoint.key,
        name=name,
        location=spec.location or endpoint.location,
        instance_count=spec.instance_count,
        provisioning_state=ProvisioningState.CREATING,
        wanted_generation=_FIRST,
        tags={},
        properties={},
        body={},
    )
    session.add(row)
    session.flush()
    operation = start_operation(session, endpoint.workspace, OperationKind.PUT_DEPLOYMENT, _arm_id(endpoint, name))
    row.operation_id = operation.id
    generation_id = _add_generation(session, row, resolved)
    _describe(row, spec)
    return _refreshed(session, endpoint, row), generation_id


def replace_generation(
    session: Session, endpoint: Endpoint, current: OnlineDeployment, spec: OnlineDeploymentSpec, resolved: ResolvedSpec
) -> tuple[OnlineDeployment, int]:
    """A new generation is wanted; what serves goes on until it is ready. Returns its id too."""
    row = session.get_one(OnlineDeploymentRow, current.key)
    state = ProvisioningState.CREATING if row.serving_generation is None else ProvisioningState.UPDATING
    _begin(session, endpoint, row, state, OperationKind.PUT_DEPLOYMENT)
    row.wanted_generation = current.wanted_generation + 1
    row.instance_count = spec.instance_count
    generation_id = _add_generation(session, row, resolved)
    _describe(row, spec)
    return _refreshed(session, endpoint, row), generation_id


def scale(
    session: Session, endpoint: Endpoint, current: OnlineDeployment, spec: OnlineDeploymentSpec
) -> OnlineDeployment:
    row = session.get_one(OnlineDeploymentRow, current.key)
    _begin(session, endpoint, row, ProvisioningState.SCALING, OperationKind.SCALE_DEPLOYMENT)
    row.instance_count = spec.instance_count
    _describe(row, spec)
    return _refreshed(session, endpoint, row)


def describe(
    session: Session, endpoint: Endpoint, current: OnlineDeployment, spec: OnlineDeploymentSpec
) -> OnlineDeployment:
    row = session.get_one(OnlineDeploymentRow, current.key)
    _describe(row, spec)
    return _refreshed(session, endpoint, row)


def begin_deletion(session: Session, endpoint: Endpoint, current: OnlineDeployment) -> OnlineDeployment:
    row = session.get_one(OnlineDeploymentRow, current.key)
    begin_deployment_deletion(session, endpoint, row)
    next_routing_revision(session)
    return _refreshed(session, endpoint, row)


def _begin(
    session: Session, endpoint: Endpoint, row: OnlineDeploymentRow, state: ProvisioningState, kind: OperationKind
) -> None:
    operation = start_operation(session, endpoint.workspace, kind, _arm_id(endpoint, row.name))
    begin(row, state, session.get_one(OperationRow, operation.id))


def _add_generation(session: Session, row: OnlineDeploymentRow, resolved: ResolvedSpec) -> int:
    generation = GenerationRow(
        deployment_id=row.id,
        number=row.wanted_generation,
        state=GenerationState.QUEUED,
        spec=resolved.spec.to_dict(),
        model_version_id=resolved.model_key,
        environment_version_id=resolved.environment_key,
    )
    session.add(generation)
    session.flush()
    return generation.id


def _describe(row: OnlineDeploymentRow, spec: OnlineDeploymentSpec) -> None:
    row.location = spec.location or row.location
    row.tags = dict(spec.tags)
    row.properties = dict(spec.properties)
    row.body = dict(spec.body)


def _refreshed(session: Session, endpoint: Endpoint, row: OnlineDeploymentRow) -> OnlineDeployment:
    session.flush()
    session.refresh(row)
    return _deployment(session, endpoint, row)


def _generation(session: Session, deployment_key: int, number: int) -> GenerationRow:
    return session.scalars(
        select(GenerationRow).where(GenerationRow.deployment_id == deployment_key, GenerationRow.number == number)
    ).one()


def _arm_id(endpoint: Endpoint, name: str) -> str:
    return f"{endpoint.arm_id}/deployments/{name}"


def _deployment(session: Session, endpoint: Endpoint, row: OnlineDeploymentRow) -> OnlineDeployment:
    operation = session.get(OperationRow, row.operation_id) if row.operation_id else None
    spec = DeploymentSpec.from_dict(_generation(session, row.id, row.wanted_generation).spec)
    failure = Failure(row.failure_code, row.failure_message or "") if row.failure_code else None
    return OnlineDeployment(
        key=row.id,
        endpoint_id=endpoint.arm_id,
        endpoint=endpoint.name,
        name=row.name,
        location=row.location,
        tags=row.tags,
        properties=row.properties,
        body=row.body,
        instance_count=row.instance_count,
        spec=spec,
        state=ProvisioningState(row.provisioning_state),
        failure=failure,
        wanted_generation=row.wanted_generation,
        serving_generation=row.serving_generation,
        operation=operation_of(operation, row.location) if operation else None,
        created_at=row.created_at,
        modified_at=row.modified_at,
    )
