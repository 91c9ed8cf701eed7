"""Datastores in the database."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.features.datastores.datastore import Datastore, DatastoreSpec
from control_plane.resources.authorship import Authorship
from control_plane.resources.named_rows import ensure_row, named, remove_row
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.audit import audited
from modelyard.core.db.rows import DatastoreRow
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller


def find_datastore(session: Session, workspace: Workspace, name: str) -> Datastore | None:
    row = session.scalar(named(DatastoreRow, workspace, name))
    return None if row is None else _datastore(workspace, row)


def list_datastores(
    session: Session, workspace: Workspace, *, skip: int, most: int, ascending: bool
) -> Sequence[Datastore]:
    order = DatastoreRow.name.asc() if ascending else DatastoreRow.name.desc()
    query = select(DatastoreRow).where(DatastoreRow.workspace_id == workspace.key).order_by(order)
    return [_datastore(workspace, row) for row in session.scalars(query.offset(skip).limit(most))]


def put_datastore(
    session: Session, caller: Caller, workspace: Workspace, name: str, spec: DatastoreSpec
) -> tuple[Datastore, bool]:
    """The datastore, and whether it is new."""
    described = {"description": spec.description, "tags": dict(spec.tags), "properties": dict(spec.properties)}
    row, is_new = ensure_row(session, caller, DatastoreRow, workspace, name, noun="datastore", **described)
    if not is_new:
        with audited(session, caller, AuditAction.UPDATE, row):
            row.description, row.tags, row.properties = spec.description, dict(spec.tags), dict(spec.properties)
    session.flush()
    session.refresh(row)
    return _datastore(workspace, row), is_new


def remove_datastore(session: Session, caller: Caller, workspace: Workspace, name: str) -> bool:
    """False: the datastore does not exist."""
    return remove_row(session, caller, DatastoreRow, workspace, name)


def _datastore(workspace: Workspace, row: DatastoreRow) -> Datastore:
    return Datastore(workspace, row.name, DatastoreSpec(row.description, row.tags, row.properties), Authorship.of(row))
