"""What is done with the containers of every kind of asset."""

from typing import Generic

from control_plane.resources.assets.asset import Container, Description, ListView
from control_plane.resources.assets.repository import Assets, C, V
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.names import check_asset_name


class Containers(Generic[C, V]):
    def __init__(self, sessions: Sessions, assets: Assets[C, V]) -> None:
        self._sessions = sessions
        self._assets: Assets[C, V] = assets

    def list(self, path: WorkspacePath, view: ListView, page: Page) -> PageResult[Container]:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            return PageResult.of(self._assets.containers(work.session, workspace, view, page), page)

    def get(self, path: WorkspacePath, name: str) -> Container:
        with transaction(self._sessions) as work:
            return self._assets.container_of(work.session, get_workspace(work.session, path), name)

    def put(self, path: WorkspacePath, name: str, described: Description) -> tuple[Container, bool]:
        """The container, and whether it is new."""
        check_asset_name(name, noun=self._assets.noun)
        with transaction(self._sessions) as work:
            return self._assets.put_container(work.session, get_workspace(work.session, path), name, described)
