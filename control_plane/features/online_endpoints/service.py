"""Changing online endpoints. The host reports when every gateway has applied a change."""

import time

from control_plane.features.online_endpoints import repository
from control_plane.features.online_endpoints.endpoint import AccessToken, OnlineEndpoint, OnlineEndpointSpec
from control_plane.features.online_endpoints.repository import ENDPOINTS
from control_plane.resources.endpoints.credentials import AuthMode, EndpointKeys, KeyType, check_key, new_key
from control_plane.resources.endpoints.endpoint import EndpointPatch
from control_plane.resources.endpoints.service import Endpoints
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.adapters.secret_box import SecretBox
from modelyard.core.db.rows import OnlineEndpointRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.names import check_endpoint_name
from modelyard.core.domain.tokens import issue_token
from modelyard.core.errors import InvalidRequest

_TOKEN_SECONDS = 3600
_REFRESH_SECONDS = 2700


class OnlineEndpoints(Endpoints[OnlineEndpointRow, OnlineEndpoint]):
    def __init__(self, sessions: Sessions, box: SecretBox) -> None:
        super().__init__(sessions, box, ENDPOINTS)

    def put(
        self, caller: Caller, path: WorkspacePath, name: str, spec: OnlineEndpointSpec
    ) -> tuple[OnlineEndpoint, bool]:
        """The endpoint, and whether it is new."""
        name = check_endpoint_name(name).lower()
        keys = EndpointKeys.generate(spec.primary_key, spec.secondary_key)
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            endpoint, is_new = repository.find_or_add(work.session, workspace, name, keys, self._box)
            if not is_new:
                repository.check_can_change(endpoint)
                ENDPOINTS.check_keys_stay(work.session, endpoint, spec, self._box)
            spec.split.check_deployments(repository.living_deployments(work.session, endpoint))
            return repository.put_endpoint(work.session, caller, endpoint, spec, is_new=is_new), is_new

    def patch(self, caller: Caller, path: WorkspacePath, name: str, patch: EndpointPatch) -> OnlineEndpoint:
        with transaction(self._sessions) as work:
            endpoint = ENDPOINTS.get_for_change(work.session, get_workspace(work.session, path), name.lower())
            repository.check_can_change(endpoint)
            return repository.patch_endpoint(work.session, caller, endpoint, patch)

    def delete(self, caller: Caller, path: WorkspacePath, name: str) -> OnlineEndpoint | None:
        """Begin to delete an endpoint with all deployments, if not begun yet. None: the endpoint does not exist."""
        with transaction(self._sessions) as work:
            endpoint = ENDPOINTS.find_for_change(work.session, get_workspace(work.session, path), name.lower())
            if endpoint is None or endpoint.state == ProvisioningState.DELETING:
                return endpoint
            return repository.begin_deletion(work.session, caller, endpoint)

    # Credentials.

    def keys(self, caller: Caller, path: WorkspacePath, name: str) -> EndpointKeys:
        with transaction(self._sessions) as work:
            endpoint = ENDPOINTS.get(work.session, get_workspace(work.session, path), name.lower())
            _check_takes_keys(endpoint)
            return ENDPOINTS.read_keys(work.session, caller, endpoint, self._box)

    def regenerate_key(
        self, caller: Caller, path: WorkspacePath, name: str, kind: KeyType, key: str | None
    ) -> OnlineEndpoint:
        """Replace a key. The old key stops working once every gateway has the new routing."""
        with transaction(self._sessions) as work:
            endpoint = ENDPOINTS.get_for_change(work.session, get_workspace(work.session, path), name.lower())
            repository.check_can_change(endpoint)
            _check_takes_keys(endpoint)
            current = ENDPOINTS.stored_keys(work.session, endpoint, self._box).of(kind)
            # Azure's SDK sends the current key to ask for a random key.
            wanted = new_key() if key in (None, "", current) else check_key(str(key))
            return repository.store_key(work.session, caller, endpoint, kind, wanted, self._box)

    def token(self, caller: Caller, path: WorkspacePath, name: str) -> AccessToken:
        with transaction(self._sessions) as work:
            endpoint = ENDPOINTS.get(work.session, get_workspace(work.session, path), name.lower())
            if endpoint.auth_mode == AuthMode.KEY:
                raise InvalidRequest(f"endpoint {endpoint.name!r} takes keys, not tokens: POST …/listKeys instead")
            private_key = repository.read_token_key(work.session, caller, endpoint, self._box)
        now = int(time.time())
        expires_at = now + _TOKEN_SECONDS
        token = issue_token(private_key, endpoint.name, expires_at)
        return AccessToken(token, expires_at, now + _REFRESH_SECONDS)


def _check_takes_keys(endpoint: OnlineEndpoint) -> None:
    if endpoint.auth_mode != AuthMode.KEY:
        raise InvalidRequest(
            f"endpoint {endpoint.name!r} takes tokens (authMode {endpoint.auth_mode}), not keys: POST …/token instead"
        )
