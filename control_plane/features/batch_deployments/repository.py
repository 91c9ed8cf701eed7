"""Batch deployments in the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from control_plane.features.batch_deployments.deployment import BatchDeployment, BatchDeploymentSpec, Build
from control_plane.features.batch_endpoints.endpoint import BatchEndpoint
from control_plane.features.batch_endpoints.repository import forget_default, record_removal
from control_plane.resources.deployments.references import ResolvedSpec
from control_plane.resources.deployments.repository import DeploymentTable, apply_spec
from modelyard.core.db.audit import audited
from modelyard.core.db.rows import BatchDeploymentRow, GenerationRow
from modelyard.core.domain.audit import AuditAction, changed_fields
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.domain.caller import Caller


def _to_deployments(
    session: Session, found: Sequence[tuple[BatchDeploymentRow, dict[str, Any]]]
) -> Sequence[BatchDeployment]:
    serving = DEPLOYMENTS.generations(session, [row for row, _ in found], BatchDeploymentRow.serving_generation)
    return [
        BatchDeployment(
            **shared,
            description=row.description,
            settings=BatchSettings.from_dict(row.settings),
            build=_build(serving.get(row.id)),
        )
        for row, shared in found
    ]


def _build(serving: GenerationRow | None) -> Build | None:
    if serving is None or serving.bundle_hash is None or serving.lock_hash is None:
        return None
    return Build(serving.bundle_hash, serving.lock_hash)


DEPLOYMENTS = DeploymentTable("batch endpoint", BatchDeploymentRow, GenerationRow.batch_deployment_id, _to_deployments)


def add(
    session: Session,
    caller: Caller,
    endpoint: BatchEndpoint,
    name: str,
    spec: BatchDeploymentSpec,
    resolved: ResolvedSpec,
) -> tuple[BatchDeployment, int]:
    """The deployment, and the id of its first generation."""
    settings = spec.settings.to_dict()
    return DEPLOYMENTS.add(
        session, caller, endpoint, name, spec, resolved, description=spec.description, settings=settings
    )


def replace_generation(
    session: Session,
    caller: Caller,
    endpoint: BatchEndpoint,
    current: BatchDeployment,
    spec: BatchDeploymentSpec,
    resolved: ResolvedSpec,
) -> tuple[BatchDeployment, int]:
    """Ask for a new generation, and return its id too. Jobs run the serving generation until the new one is built."""
    row = DEPLOYMENTS.row_of(session, current)
    changes = changed_fields(current.spec.to_dict(), resolved.spec.to_dict())
    with audited(session, caller, AuditAction.UPDATE, row, changes=changes):
        generation_id = DEPLOYMENTS.replace_generation(session, caller, endpoint, row, resolved)
        _apply(row, spec)
    return DEPLOYMENTS.refreshed(session, endpoint, row), generation_id


def describe(
    session: Session, caller: Caller, endpoint: BatchEndpoint, current: BatchDeployment, spec: BatchDeploymentSpec
) -> BatchDeployment:
    row = DEPLOYMENTS.row_of(session, current)
    with audited(session, caller, AuditAction.UPDATE, row):
        _apply(row, spec)
        DEPLOYMENTS.record_description(session, endpoint, row)
    return DEPLOYMENTS.refreshed(session, endpoint, row)


def _apply(row: BatchDeploymentRow, spec: BatchDeploymentSpec) -> None:
    apply_spec(row, spec)
    row.description = spec.description
    row.settings = spec.settings.to_dict()


def remove(session: Session, caller: Caller, endpoint: BatchEndpoint, current: BatchDeployment) -> None:
    """Remove the deployment. Jobs stay, and unfinished jobs go on: a job needs no deployment."""
    row = DEPLOYMENTS.row_of(session, current)
    record_removal(session, caller, endpoint, row)
    forget_default(session, endpoint, row.name)
    session.delete(row)
    session.flush()
