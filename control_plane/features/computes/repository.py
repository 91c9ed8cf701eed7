"""Computes in the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.features.computes.compute import Compute
from control_plane.resources.authorship import Authorship
from control_plane.resources.named_rows import ensure_row, named, remove_row
from control_plane.resources.operations.operation import Operation, OperationKind
from control_plane.resources.operations.repository import record_finished
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.audit import audited
from modelyard.core.db.rows import ComputeRow
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller


def find_compute(session: Session, workspace: Workspace, name: str) -> Compute | None:
    row = session.scalar(named(ComputeRow, workspace, name))
    return None if row is None else _compute(workspace, row)


def list_computes(session: Session, workspace: Workspace, page: Page) -> Sequence[Compute]:
    query = select(ComputeRow).where(ComputeRow.workspace_id == workspace.key).order_by(ComputeRow.name)
    return [_compute(workspace, row) for row in session.scalars(page.of(query))]


def put_compute(
    session: Session, caller: Caller, workspace: Workspace, name: str, location: str | None, body: Mapping[str, Any]
) -> tuple[Compute, Operation, bool]:
    """The compute, the operation, which has succeeded, and whether the compute is new."""
    location = location or workspace.location
    columns: dict[str, Any] = {"location": location, "body": dict(body)}
    row, is_new = ensure_row(session, caller, ComputeRow, workspace, name, noun="compute", **columns)
    if not is_new:
        with audited(session, caller, AuditAction.UPDATE, row):
            row.location, row.body = location, dict(body)
    session.flush()
    session.refresh(row)
    compute = _compute(workspace, row)
    operation = record_finished(session, workspace, OperationKind.PUT_COMPUTE, compute.arm_id)
    return compute, operation, is_new


def remove_compute(session: Session, caller: Caller, workspace: Workspace, name: str) -> bool:
    """False: the compute does not exist."""
    return remove_row(session, caller, ComputeRow, workspace, name)


def _compute(workspace: Workspace, row: ComputeRow) -> Compute:
    return Compute(workspace, row.name, row.location, row.body, Authorship.of(row))
