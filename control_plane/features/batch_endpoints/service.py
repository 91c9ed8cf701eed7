"""Changing batch endpoints."""

from control_plane.features.batch_endpoints import repository
from control_plane.features.batch_endpoints.endpoint import BatchEndpoint, BatchEndpointPatch, BatchEndpointSpec
from control_plane.features.batch_endpoints.repository import ENDPOINTS
from control_plane.resources.endpoints.credentials import EndpointKeys
from control_plane.resources.endpoints.service import Endpoints
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.adapters.secret_box import SecretBox
from modelyard.core.db.rows import BatchEndpointRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.names import check_endpoint_name


class BatchEndpoints(Endpoints[BatchEndpointRow, BatchEndpoint]):
    def __init__(self, sessions: Sessions, box: SecretBox) -> None:
        super().__init__(sessions, box, ENDPOINTS)

    def put(
        self, caller: Caller, path: WorkspacePath, name: str, spec: BatchEndpointSpec
    ) -> tuple[BatchEndpoint, bool]:
        """The endpoint, and whether it is new."""
        name = check_endpoint_name(name).lower()
        keys = EndpointKeys.generate(spec.primary_key, spec.secondary_key)
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            endpoint, is_new = ENDPOINTS.find_or_add(work.session, workspace, name, keys, self._box)
            if not is_new:
                ENDPOINTS.check_keys_stay(work.session, endpoint, spec, self._box)
            return repository.put_endpoint(work.session, caller, endpoint, spec, is_new=is_new), is_new

    def patch(self, caller: Caller, path: WorkspacePath, name: str, patch: BatchEndpointPatch) -> BatchEndpoint:
        with transaction(self._sessions) as work:
            endpoint = ENDPOINTS.get_for_change(work.session, get_workspace(work.session, path), name.lower())
            return repository.patch_endpoint(work.session, caller, endpoint, patch)

    def delete(self, caller: Caller, path: WorkspacePath, name: str) -> bool:
        """Delete an endpoint with all deployments. Jobs stay. False: the endpoint does not exist."""
        with transaction(self._sessions) as work:
            endpoint = ENDPOINTS.find_for_change(work.session, get_workspace(work.session, path), name.lower())
            if endpoint is None:
                return False
            repository.remove(work.session, caller, endpoint)
            return True

    def keys(self, caller: Caller, path: WorkspacePath, name: str) -> EndpointKeys:
        with transaction(self._sessions) as work:
            endpoint = ENDPOINTS.get(work.session, get_workspace(work.session, path), name.lower())
            return ENDPOINTS.read_keys(work.session, caller, endpoint, self._box)
