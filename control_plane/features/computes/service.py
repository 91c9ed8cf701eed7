"""Recording computes."""

from collections.abc import Mapping
from typing import Any

from control_plane.features.computes import repository
from control_plane.features.computes.compute import Compute, local_compute
from control_plane.resources.compute_name import LOCAL
from control_plane.resources.operations.operation import Operation
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.names import check_asset_name
from modelyard.core.errors import Conflict, ResourceNotFound


class Computes:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def get(self, caller: Caller, path: WorkspacePath, name: str) -> Compute:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            found = repository.find_compute(work.session, workspace, name)
        if found is None and name == LOCAL:
            return local_compute(workspace)
        if found is None:
            raise ResourceNotFound(
                f"there is no compute {name!r} in workspace {path.name!r}; "
                "a deployment may name the compute all the same"
            )
        return found

    def list(self, caller: Caller, path: WorkspacePath, page: Page) -> PageResult[Compute]:
        """The recorded computes; the first page begins with `local`."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            found = list(repository.list_computes(work.session, workspace, page))
            is_recorded = repository.find_compute(work.session, workspace, LOCAL) is not None
        recorded = PageResult.of(found, page)
        local = [] if is_recorded or page.skip else [local_compute(workspace)]
        return PageResult([*local, *recorded.items], recorded.has_more)

    def put(
        self, caller: Caller, path: WorkspacePath, name: str, location: str | None, body: Mapping[str, Any]
    ) -> tuple[Compute, Operation, bool]:
        """The compute, the operation, which has succeeded, and whether the compute is new."""
        check_asset_name(name, noun="compute")
        with transaction(self._sessions) as work:
            return repository.put_compute(work.session, caller, get_workspace(work.session, path), name, location, body)

    def delete(self, caller: Caller, path: WorkspacePath, name: str) -> bool:
        """False: the compute does not exist."""
        with transaction(self._sessions) as work:
            removed = repository.remove_compute(work.session, caller, get_workspace(work.session, path), name)
        if not removed and name == LOCAL:
            raise Conflict("the compute 'local' is this platform and cannot be deleted")
        return removed
