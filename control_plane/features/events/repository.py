"""Audit events in the database."""

from collections.abc import Iterator, Sequence

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from control_plane.features.events.event_query import EventQuery
from control_plane.resources.paging import Page
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.rows import AuditEventRow
from modelyard.core.domain.audit import AuditAction, AuditEvent
from modelyard.core.domain.caller import CallerKind


def list_events(session: Session, workspace: Workspace, query: EventQuery, page: Page) -> Sequence[AuditEvent]:
    """The newest first."""
    rows = select(AuditEventRow).where(*_filters(workspace, query)).order_by(AuditEventRow.id.desc())
    return [_event(row) for row in session.scalars(page.of(rows))]


def _filters(workspace: Workspace, query: EventQuery) -> Iterator[ColumnElement[bool]]:
    yield AuditEventRow.workspace_id == workspace.key
    resource_id = query.resource_id(workspace)
    if resource_id is not None:
        recorded, wanted = func.lower(AuditEventRow.resource_id), resource_id.rstrip("/").lower()
        yield or_(recorded == wanted, recorded.startswith(f"{wanted}/", autoescape=True))
    if query.action is not None:
        yield AuditEventRow.action == query.action
    if query.caller is not None:
        yield AuditEventRow.caller == query.caller
    if query.since is not None:
        yield AuditEventRow.at >= query.since
    if query.until is not None:
        yield AuditEventRow.at < query.until


def _event(row: AuditEventRow) -> AuditEvent:
    return AuditEvent(
        id=row.id,
        at=row.at,
        caller=row.caller,
        caller_kind=CallerKind(row.caller_kind),
        action=AuditAction(row.action),
        resource_id=row.resource_id,
        request_id=row.request_id,
        from_state=row.from_state,
        to_state=row.to_state,
        changes=row.changes,
    )
