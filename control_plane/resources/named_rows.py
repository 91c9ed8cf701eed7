"""Rows that have a name in a workspace: found, added once, locked and removed, with an audit event for each change."""

from typing import Any, TypeVar

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.audit import record
from modelyard.core.db.rows import NamedResource
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.errors import Conflict

Row = TypeVar("Row", bound=NamedResource)


def named(table: type[Row], workspace: Workspace, name: str) -> Select[Row]:
    return select(table).where(table.workspace_id == workspace.key, table.name == name)


def lock_row(session: Session, table: type[Row], workspace: Workspace, name: str) -> Row | None:
    return session.scalar(named(table, workspace, name).with_for_update())


def ensure_row(
    session: Session, caller: Caller, table: type[Row], workspace: Workspace, name: str, *, noun: str, **columns: Any
) -> tuple[Row, bool]:
    """The locked row, and whether the row is new. `columns` are those of a new row, `noun` stands in messages.

    Raises Conflict where another request deletes the row at the same time.
    """
    values = {"workspace_id": workspace.key, "name": name, **columns}
    made = session.scalar(insert(table).values(**values).on_conflict_do_nothing().returning(table.id))
    row = lock_row(session, table, workspace, name)
    if row is None:
        raise Conflict(f"{noun} {name!r} was deleted at the same time; try again")
    if made is not None:
        record(session, caller, AuditAction.CREATE, row)
    return row, made is not None


def remove_row(session: Session, caller: Caller, table: type[Row], workspace: Workspace, name: str) -> bool:
    """False: the row does not exist."""
    row = lock_row(session, table, workspace, name)
    if row is None:
        return False
    record(session, caller, AuditAction.DELETE, row)
    session.delete(row)
    return True
