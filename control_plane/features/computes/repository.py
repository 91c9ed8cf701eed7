"""Computes in the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from control_plane.features.computes.compute import Compute
from control_plane.resources.authorship import Authorship
from control_plane.resources.operations.operation import Operation, OperationKind
from control_plane.resources.operations.repository import record_finished
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.audit import audited, record
from modelyard.core.db.rows import ComputeRow
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.errors import Conflict


def find_compute(session: Session, workspace: Workspace, name: str) -> Compute | None:
    row = session.scalar(_named(workspace, name))
    return None if row is None else _compute(workspace, row)


def list_computes(session: Session, workspace: Workspace, page: Page) -> Sequence[Compute]:
    query = select(ComputeRow).where(ComputeRow.workspace_id == workspace.key).order_by(ComputeRow.name)
    return [_compute(workspace, row) for row in session.scalars(page.of(query))]


def put_compute(
    session: Session, caller: Caller, workspace: Workspace, name: str, location: str | None, body: Mapping[str, Any]
) -> tuple[Compute, Operation, bool]:
    """The compute, the operation, which has succeeded, and whether the compute is new."""
    location = location or workspace.location
    values = {"workspace_id": workspace.key, "name": name, "location": location, "body": dict(body)}
    made = session.scalar(insert(ComputeRow).values(**values).on_conflict_do_nothing().returning(ComputeRow.id))
    row = session.scalar(_named(workspace, name).with_for_update())
    if row is None:
        raise Conflict(f"compute {name!r} was deleted at the same time; try again")
    if made is not None:
        record(session, caller, AuditAction.CREATE, row)
    else:
        with audited(session, caller, AuditAction.UPDATE, row):
            row.location, row.body = location, dict(body)
    session.flush()
    session.refresh(row)
    compute = _compute(workspace, row)
    operation = record_finished(session, workspace, OperationKind.PUT_COMPUTE, compute.arm_id)
    return compute, operation, made is not None


def remove_compute(session: Session, caller: Caller, workspace: Workspace, name: str) -> bool:
    """False: the compute does not exist."""
    row = session.scalar(_named(workspace, name).with_for_update())
    if row is None:
        return False
    record(session, caller, AuditAction.DELETE, row)
    session.delete(row)
    return True


def _named(workspace: Workspace, name: str) -> Select[ComputeRow]:
    return select(ComputeRow).where(ComputeRow.workspace_id == workspace.key, ComputeRow.name == name)


def _compute(workspace: Workspace, row: ComputeRow) -> Compute:
    return Compute(workspace, row.name, row.location, row.body, Authorship.of(row))
