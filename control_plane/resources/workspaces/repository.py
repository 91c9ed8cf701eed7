"""Workspaces in the database."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from control_plane.resources.authorship import Authorship
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from modelyard.core.db.audit import record
from modelyard.core.db.rows import WorkspaceRow
from modelyard.core.domain.audit import AuditAction
from modelyard.core.domain.caller import Caller
from modelyard.core.errors import ResourceNotFound


def get_workspace(session: Session, path: WorkspacePath) -> Workspace:
    row = session.scalar(select(WorkspaceRow).where(*_is_in(path), func.lower(WorkspaceRow.name) == path.name.lower()))
    if row is None:
        raise ResourceNotFound(
            f"there is no workspace {path.name!r} in resource group {path.resource_group!r}; "
            "PUT the workspace to create it"
        )
    return _workspace(row)


def workspace_of(session: Session, key: int) -> Workspace:
    return _workspace(session.get_one(WorkspaceRow, key))


def workspaces_of(session: Session, keys: Collection[int]) -> Mapping[int, Workspace]:
    found = session.scalars(select(WorkspaceRow).where(WorkspaceRow.id.in_(keys)))
    return {row.id: _workspace(row) for row in found}


def list_workspaces(
    session: Session, subscription: str, resource_group: str | None, page: Page, visible: frozenset[str] | None
) -> Sequence[Workspace]:
    """List workspaces of a resource group, or of all. `visible` are lower-case ARM ids; None: every workspace."""
    group, name = func.lower(WorkspaceRow.resource_group), func.lower(WorkspaceRow.name)
    query = select(WorkspaceRow).where(func.lower(WorkspaceRow.subscription) == subscription.lower())
    if resource_group is not None:
        query = query.where(group == resource_group.lower())
    if visible is not None:
        ids = [WorkspacePath.in_id(arm_id, target="scope") for arm_id in visible]
        seen = [(each.resource_group, each.name) for each in ids if each.subscription == subscription.lower()]
        query = query.where(tuple_(group, name).in_(seen))
    return [_workspace(row) for row in session.scalars(page.of(query.order_by(group, name)))]


def ensure_workspace(session: Session, caller: Caller, path: WorkspacePath, location: str) -> bool:
    """Create the workspace unless it exists. True: the workspace is new."""
    made = session.scalar(
        insert(WorkspaceRow)
        .values(subscription=path.subscription, resource_group=path.resource_group, name=path.name, location=location)
        .on_conflict_do_nothing()
        .returning(WorkspaceRow.id)
    )
    if made is not None:
        record(session, caller, AuditAction.CREATE, session.get_one(WorkspaceRow, made))
    return made is not None


def _is_in(path: WorkspacePath) -> tuple[ColumnElement[bool], ...]:
    return (
        func.lower(WorkspaceRow.subscription) == path.subscription.lower(),
        func.lower(WorkspaceRow.resource_group) == path.resource_group.lower(),
    )


def _workspace(row: WorkspaceRow) -> Workspace:
    path = WorkspacePath(row.subscription, row.resource_group, row.name)
    return Workspace(row.id, path, row.location, row.datastores, Authorship.of(row))
