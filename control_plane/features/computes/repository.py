"""Computes in the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Boolean, delete, literal_column, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from control_plane.features.computes.compute import Compute
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.rows import ComputeRow


def find_compute(session: Session, workspace: Workspace, name: str) -> Compute | None:
    row = session.scalar(select(ComputeRow).where(ComputeRow.workspace_id == workspace.key, ComputeRow.name == name))
    return None if row is None else _compute(workspace, row)


def list_computes(session: Session, workspace: Workspace, page: Page) -> Sequence[Compute]:
    rows = session.scalars(
        select(ComputeRow)
        .where(ComputeRow.workspace_id == workspace.key)
        .order_by(ComputeRow.name)
        .offset(page.skip)
        .limit(page.top + 1)
    )
    return [_compute(workspace, row) for row in rows]


def put_compute(
    session: Session, workspace: Workspace, name: str, location: str | None, body: Mapping[str, Any]
) -> tuple[Compute, bool]:
    """The compute, and whether it is new."""
    location = location or workspace.location
    values = {"workspace_id": workspace.key, "name": name, "location": location, "body": dict(body)}
    is_new = session.scalar(
        insert(ComputeRow)
        .values(**values)
        .on_conflict_do_update(index_elements=["workspace_id", "name"], set_={"body": dict(body), "location": location})
        # A row that this very statement wrote has no older version.
        .returning(literal_column("xmax = 0", Boolean))
    )
    found = find_compute(session, workspace, name)
    assert found is not None, "it was written by this transaction"
    return found, bool(is_new)


def remove_compute(session: Session, workspace: Workspace, name: str) -> bool:
    """False: it is not there."""
    removed = delete(ComputeRow).where(ComputeRow.workspace_id == workspace.key, ComputeRow.name == name)
    return session.scalar(removed.returning(ComputeRow.id)) is not None


def _compute(workspace: Workspace, row: ComputeRow) -> Compute:
    return Compute(workspace, row.name, row.location, row.body, row.created_at, row.modified_at)
