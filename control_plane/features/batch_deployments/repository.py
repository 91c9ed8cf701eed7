"""Batch deployments in the database. Whoever changes one holds its endpoint's lock, and then its own."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.features.batch_deployments.deployment import BatchDeployment, BatchDeploymentSpec, Build
from control_plane.features.batch_endpoints.endpoint import Endpoint
from control_plane.features.batch_endpoints.repository import forget_default, record_removal
from control_plane.resources.deployments.failure import Failure
from control_plane.resources.deployments.references import ResolvedSpec
from control_plane.resources.operations.operation import OperationKind
from control_plane.resources.operations.repository import operation_of, start_operation
from control_plane.resources.paging import Page
from modelyard.core.db.lifecycle import begin
from modelyard.core.db.rows import BatchDeploymentRow, GenerationRow, OperationRow
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import GenerationState, ProvisioningState
from modelyard.core.errors import ResourceNotFound

_FIRST = 1


# Reading.


def get_deployment(session: Session, endpoint: Endpoint, name: str, *, lock: bool = False) -> BatchDeployment:
    found = find_deployment(session, endpoint, name, lock=lock)
    if found is None:
        raise ResourceNotFound(f"batch endpoint {endpoint.name!r} has no deployment {name!r}")
    return found


def find_deployment(session: Session, endpoint: Endpoint, name: str, *, lock: bool = False) -> BatchDeployment | None:
    query = select(BatchDeploymentRow).where(
        BatchDeploymentRow.endpoint_id == endpoint.key, BatchDeploymentRow.name == name
    )
    row = session.scalar(query.with_for_update() if lock else query)
    return None if row is None else _deployment(session, endpoint, row)


def list_deployments(session: Session, endpoint: Endpoint, page: Page) -> Sequence[BatchDeployment]:
    rows = session.scalars(
        select(BatchDeploymentRow)
        .where(BatchDeploymentRow.endpoint_id == endpoint.key)
        .order_by(BatchDeploymentRow.name)
        .offset(page.skip)
        .limit(page.top + 1)
    )
    return [_deployment(session, endpoint, row) for row in rows]


# Changing.


def add_deployment(
    session: Session, endpoint: Endpoint, name: str, spec: BatchDeploymentSpec, resolved: ResolvedSpec
) -> tuple[BatchDeployment, int]:
    """The deployment and the id of its first generation."""
    row = BatchDeploymentRow(
        endpoint_id=endpoint.key,
        name=name,
        location=spec.location or endpoint.location,
        settings={},
        provisioning_state=ProvisioningState.CREATING,
        wanted_generation=_FIRST,
        tags={},
        properties={},
        body={},
    )
    _describe(row, spec)
    session.add(row)
    session.flush()
    operation = start_operation(
        session, endpoint.workspace, OperationKind.PUT_DEPLOYMENT, f"{endpoint.arm_id}/deployments/{name}"
    )
    row.operation_id = operation.id
    generation_id = _add_generation(session, row, resolved)
    return _refreshed(session, endpoint, row), generation_id


def replace_generation(
    session: Session, endpoint: Endpoint, current: BatchDeployment, spec: BatchDeploymentSpec, resolved: ResolvedSpec
) -> tuple[BatchDeployment, int]:
    """A new generation is wanted; jobs run the old one until it is built. Returns its id too."""
    row = session.get_one(BatchDeploymentRow, current.key)
    state = ProvisioningState.CREATING if row.serving_generation is None else ProvisioningState.UPDATING
    operation = start_operation(session, endpoint.workspace, OperationKind.PUT_DEPLOYMENT, current.arm_id)
    begin(row, state, session.get_one(OperationRow, operation.id))
    row.wanted_generation = current.wanted_generation + 1
    generation_id = _add_generation(session, row, resolved)
    _describe(row, spec)
    return _refreshed(session, endpoint, row), generation_id


def describe(
    session: Session, endpoint: Endpoint, current: BatchDeployment, spec: BatchDeploymentSpec
) -> BatchDeployment:
    row = session.get_one(BatchDeploymentRow, current.key)
    _describe(row, spec)
    return _refreshed(session, endpoint, row)


def remove(session: Session, endpoint: Endpoint, current: BatchDeployment) -> None:
    """Its jobs stay, and those that are not done go on: they carry all they need."""
    row = session.get_one(BatchDeploymentRow, current.key)
    record_removal(session, endpoint, row)
    forget_default(session, endpoint, row.name)
    session.delete(row)
    session.flush()


def _add_generation(session: Session, row: BatchDeploymentRow, resolved: ResolvedSpec) -> int:
    generation = GenerationRow(
        batch_deployment_id=row.id,
        number=row.wanted_generation,
        state=GenerationState.QUEUED,
        spec=resolved.spec.to_dict(),
        model_version_id=resolved.model_key,
        environment_version_id=resolved.environment_key,
    )
    session.add(generation)
    session.flush()
    return generation.id


def _describe(row: BatchDeploymentRow, spec: BatchDeploymentSpec) -> None:
    row.location = spec.location or row.location
    row.description = spec.description
    row.tags = dict(spec.tags)
    row.properties = dict(spec.properties)
    row.body = dict(spec.body)
    row.settings = spec.settings.to_dict()


def _refreshed(session: Session, endpoint: Endpoint, row: BatchDeploymentRow) -> BatchDeployment:
    session.flush()
    session.refresh(row)
    return _deployment(session, endpoint, row)


def _generation(session: Session, deployment_key: int, number: int) -> GenerationRow:
    return session.scalars(
        select(GenerationRow).where(GenerationRow.batch_deployment_id == deployment_key, GenerationRow.number == number)
    ).one()


def _build(session: Session, row: BatchDeploymentRow) -> Build | None:
    if row.serving_generation is None:
        return None
    serving = _generation(session, row.id, row.serving_generation)
    if serving.bundle_hash is None or serving.lock_hash is None:
        return None
    return Build(serving.bundle_hash, serving.lock_hash)


def _deployment(session: Session, endpoint: Endpoint, row: BatchDeploymentRow) -> BatchDeployment:
    operation = session.get(OperationRow, row.operation_id) if row.operation_id else None
    return BatchDeployment(
        key=row.id,
        endpoint_id=endpoint.arm_id,
        endpoint=endpoint.name,
        name=row.name,
        location=row.location,
        description=row.description,
        tags=row.tags,
        properties=row.properties,
        body=row.body,
        settings=BatchSettings.from_dict(row.settings),
        spec=DeploymentSpec.from_dict(_generation(session, row.id, row.wanted_generation).spec),
        state=ProvisioningState(row.provisioning_state),
        failure=Failure(row.failure_code, row.failure_message or "") if row.failure_code else None,
        wanted_generation=row.wanted_generation,
        serving_generation=row.serving_generation,
        build=_build(session, row),
        operation=operation_of(operation, row.location) if operation else None,
        created_at=row.created_at,
        modified_at=row.modified_at,
    )
