"""Reading audit events."""

from control_plane.features.events import repository
from control_plane.features.events.event_query import EventQuery
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.audit import AuditEvent
from modelyard.core.domain.caller import Caller


class Events:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def list(
        self, caller: Caller, path: WorkspacePath, query: EventQuery, page: Page
    ) -> tuple[Workspace, PageResult[AuditEvent]]:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            return workspace, PageResult.of(repository.list_events(work.session, workspace, query, page), page)
