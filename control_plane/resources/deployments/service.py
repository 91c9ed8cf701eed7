"""Reading deployments, online and batch."""

from functools import partial
from typing import Generic

from sqlalchemy.orm import Session

from control_plane.resources.deployments.references import ResolvedSpec, resolve
from control_plane.resources.deployments.repository import D, DeploymentTable
from control_plane.resources.deployments.repository import R as DeploymentRow
from control_plane.resources.endpoints.repository import E, EndpointTable
from control_plane.resources.endpoints.repository import R as EndpointRow
from control_plane.resources.environments.curated import CuratedEnvironments
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.unit_of_work import Sessions, UnitOfWork, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.ports.object_store import ObjectStore


class Deployments(Generic[EndpointRow, E, DeploymentRow, D]):
    def __init__(
        self,
        sessions: Sessions,
        store: ObjectStore,
        dispatcher: Dispatcher,
        endpoints: EndpointTable[EndpointRow, E],
        table: DeploymentTable[DeploymentRow, D],
        curated: CuratedEnvironments,
    ) -> None:
        self._sessions = sessions
        self._store = store
        self._dispatcher = dispatcher
        self._endpoints: EndpointTable[EndpointRow, E] = endpoints
        self._table: DeploymentTable[DeploymentRow, D] = table
        self._curated = curated

    def get(self, caller: Caller, path: WorkspacePath, endpoint: str, name: str) -> D:
        with transaction(self._sessions) as work:
            return self._table.get(work.session, self._endpoint(work.session, path, endpoint), name.lower())

    def list(self, caller: Caller, path: WorkspacePath, endpoint: str, page: Page) -> PageResult[D]:
        with transaction(self._sessions) as work:
            return PageResult.of(
                self._table.list(work.session, self._endpoint(work.session, path, endpoint), page), page
            )

    def _endpoint(self, session: Session, path: WorkspacePath, name: str) -> E:
        return self._endpoints.get(session, get_workspace(session, path), name.lower())

    def _locked_endpoint(self, session: Session, path: WorkspacePath, name: str) -> E:
        """The endpoint, locked against changes and deletion until the transaction ends."""
        return self._endpoints.get_for_change(session, get_workspace(session, path), name.lower())

    def _resolved(self, session: Session, endpoint: E, spec: DeploymentSpec) -> ResolvedSpec:
        return resolve(session, endpoint.workspace, spec, self._curated)

    def _send_build(self, work: UnitOfWork, generation_id: int) -> None:
        work.after_commit(partial(self._dispatcher.build_deployment, generation_id))
