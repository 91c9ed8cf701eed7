"""Reading and verifying audit events."""

from control_plane.features.events import repository
from control_plane.features.events.event_query import EventQuery
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from modelyard.core.db.audit_verification import verify_chain
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.audit import AuditEvent, ChainReport, Checkpoint
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.roles import EVERY_WORKSPACE, Role
from modelyard.core.errors import InvalidRequest


class Events:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def list(
        self, caller: Caller, path: WorkspacePath, query: EventQuery, page: Page
    ) -> tuple[Workspace, PageResult[AuditEvent]]:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            return workspace, PageResult.of(repository.list_events(work.session, workspace, query, page), page)

    def verify(self, caller: Caller, checkpoint: str | None) -> ChainReport:
        """Verify the chain of the events of all workspaces, and that it holds the event of the checkpoint."""
        caller.check_role(Role.OWNER, EVERY_WORKSPACE)
        noted = None if checkpoint is None else Checkpoint.parse(checkpoint)
        if checkpoint is not None and noted is None:
            raise InvalidRequest(
                f"{checkpoint[:200]!r} is not a checkpoint: send <event>:<hash>, as an earlier verification printed it",
                target="checkpoint",
            )
        with transaction(self._sessions) as work:
            return verify_chain(work.session, noted)
