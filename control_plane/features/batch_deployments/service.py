"""Changing batch deployments. A new generation is a row for the builder; any other change is complete at once."""

from control_plane.features.batch_deployments import repository
from control_plane.features.batch_deployments.deployment import (
    BatchDeployment,
    BatchDeploymentPatch,
    BatchDeploymentSpec,
    needs_build,
)
from control_plane.features.batch_deployments.repository import DEPLOYMENTS
from control_plane.features.batch_endpoints.endpoint import BatchEndpoint
from control_plane.features.batch_endpoints.repository import ENDPOINTS
from control_plane.resources.deployments.service import Deployments
from control_plane.resources.environments.curated import CuratedEnvironments
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.rows import BatchDeploymentRow, BatchEndpointRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.names import check_deployment_name
from modelyard.core.logs import STORAGE_INITIALIZER, batch_log, read_log
from modelyard.core.ports.object_store import ObjectStore


class BatchDeployments(Deployments[BatchEndpointRow, BatchEndpoint, BatchDeploymentRow, BatchDeployment]):
    def __init__(
        self, sessions: Sessions, store: ObjectStore, dispatcher: Dispatcher, curated: CuratedEnvironments
    ) -> None:
        super().__init__(sessions, store, dispatcher, ENDPOINTS, DEPLOYMENTS, curated)

    def put(
        self, caller: Caller, path: WorkspacePath, endpoint: str, name: str, spec: BatchDeploymentSpec
    ) -> tuple[BatchDeployment, bool]:
        """The deployment, and whether it is new."""
        name = check_deployment_name(name).lower()
        with transaction(self._sessions) as work:
            owner = self._locked_endpoint(work.session, path, endpoint)
            resolved = self._resolved(work.session, owner, spec.generation)
            current = DEPLOYMENTS.find(work.session, owner, name, lock=True)
            if current is None:
                put, generation_id = repository.add(work.session, caller, owner, name, spec, resolved)
            elif needs_build(current, resolved.spec):
                put, generation_id = repository.replace_generation(work.session, caller, owner, current, spec, resolved)
            else:
                return repository.describe(work.session, caller, owner, current, spec), False
            self._send_build(work, generation_id)
            return put, current is None

    def patch(
        self, caller: Caller, path: WorkspacePath, endpoint: str, name: str, patch: BatchDeploymentPatch
    ) -> BatchDeployment:
        with transaction(self._sessions) as work:
            owner = self._locked_endpoint(work.session, path, endpoint)
            current = DEPLOYMENTS.get(work.session, owner, name.lower(), lock=True)
            return repository.describe(work.session, caller, owner, current, patch.apply_to(current))

    def delete(self, caller: Caller, path: WorkspacePath, endpoint: str, name: str) -> bool:
        """Delete a deployment. Jobs stay. False: the deployment does not exist."""
        with transaction(self._sessions) as work:
            owner = ENDPOINTS.find_for_change(work.session, get_workspace(work.session, path), endpoint.lower())
            current = DEPLOYMENTS.find(work.session, owner, name.lower(), lock=True) if owner else None
            if owner is None or current is None:
                return False
            repository.remove(work.session, caller, owner, current)
            return True

    def build_log(self, caller: Caller, path: WorkspacePath, endpoint: str, name: str, tail: int | None) -> str:
        log = batch_log(self.get(caller, path, endpoint, name).key)
        return read_log(self._store, log, STORAGE_INITIALIZER, tail)
