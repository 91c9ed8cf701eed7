"""Reading endpoints, online and batch."""

from typing import Generic

from control_plane.resources.endpoints.repository import E, EndpointTable, R
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.adapters.secret_box import SecretBox
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller


class Endpoints(Generic[R, E]):
    def __init__(self, sessions: Sessions, box: SecretBox, table: EndpointTable[R, E]) -> None:
        self._sessions = sessions
        self._box = box
        self._table: EndpointTable[R, E] = table

    def get(self, caller: Caller, path: WorkspacePath, name: str) -> E:
        with transaction(self._sessions) as work:
            return self._table.get(work.session, get_workspace(work.session, path), name.lower())

    def list(self, caller: Caller, path: WorkspacePath, page: Page) -> PageResult[E]:
        with transaction(self._sessions) as work:
            return PageResult.of(self._table.list(work.session, get_workspace(work.session, path), page), page)
