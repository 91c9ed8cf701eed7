"""Reading, creating and deleting workspaces."""

from collections.abc import Callable

from control_plane.features.workspaces.deletion import remove_workspace
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces import repository
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.names import check_asset_name
from modelyard.core.domain.roles import Role
from modelyard.core.errors import ResourceNotFound


class Workspaces:
    def __init__(self, sessions: Sessions, credentials_changed: Callable[[], None]) -> None:
        """`credentials_changed` is called after a workspace, and with it roles in the workspace, are gone."""
        self._sessions = sessions
        self._credentials_changed = credentials_changed

    def get(self, caller: Caller, path: WorkspacePath) -> Workspace:
        with transaction(self._sessions) as work:
            return repository.get_workspace(work.session, path)

    def list(self, caller: Caller, subscription: str, resource_group: str | None, page: Page) -> PageResult[Workspace]:
        """The workspaces that the caller may read. Without a resource group: of the whole subscription."""
        with transaction(self._sessions) as work:
            visible = caller.workspaces_with(Role.READER)
            found = repository.list_workspaces(work.session, subscription, resource_group, page, visible)
            return PageResult.of(found, page)

    def put(self, caller: Caller, path: WorkspacePath, location: str) -> tuple[Workspace, bool]:
        """The workspace, and whether it is new. The location of an existing workspace stays unchanged."""
        check_asset_name(path.subscription, noun="subscription")
        check_asset_name(path.resource_group, noun="resource group")
        check_asset_name(path.name, noun="workspace")
        with transaction(self._sessions) as work:
            made = repository.ensure_workspace(work.session, caller, path, location)
            return repository.get_workspace(work.session, path), made

    def delete(self, caller: Caller, path: WorkspacePath) -> bool:
        """Raises WorkspaceNotEmpty. False: the workspace does not exist."""
        with transaction(self._sessions) as work:
            try:
                workspace = repository.get_workspace(work.session, path)
            except ResourceNotFound:
                return False
            work.after_commit(self._credentials_changed)
            return remove_workspace(work.session, caller, workspace)
