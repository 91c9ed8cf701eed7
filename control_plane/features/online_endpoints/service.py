"""Changing endpoints. A change has succeeded when every gateway acts on it; the host says when."""

import time

from sqlalchemy.orm import Session

from control_plane.features.online_endpoints import repository
from control_plane.features.online_endpoints.endpoint import AccessToken, Endpoint, EndpointPatch, EndpointSpec
from control_plane.resources.endpoints.credentials import AuthMode, EndpointKeys, KeyType, check_key, new_key
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.adapters.secret_box import SecretBox
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.names import check_endpoint_name
from modelyard.core.domain.tokens import issue_token
from modelyard.core.errors import Conflict, InvalidRequest

_TOKEN_SECONDS = 3600
_REFRESH_SECONDS = 2700


class OnlineEndpoints:
    def __init__(self, sessions: Sessions, box: SecretBox) -> None:
        self._sessions = sessions
        self._box = box

    def get(self, path: WorkspacePath, name: str) -> Endpoint:
        with transaction(self._sessions) as work:
            return repository.get_endpoint(work.session, get_workspace(work.session, path), name.lower())

    def list(self, path: WorkspacePath, page: Page) -> PageResult[Endpoint]:
        with transaction(self._sessions) as work:
            return PageResult.of(repository.list_endpoints(work.session, get_workspace(work.session, path), page), page)

    def put(self, path: WorkspacePath, name: str, spec: EndpointSpec) -> tuple[Endpoint, bool]:
        """The endpoint, and whether it is new."""
        name = check_endpoint_name(name).lower()
        keys = EndpointKeys.generate(spec.primary_key, spec.secondary_key)
        with transaction(self._sessions) as work:
            endpoint, is_new = self._found_or_made(work.session, path, name, keys)
            if not is_new:
                repository.check_can_change(endpoint)
            spec.split.check_deployments(repository.living_deployments(work.session, endpoint))
            return repository.apply_spec(work.session, endpoint, spec, is_new=is_new), is_new

    def _found_or_made(
        self, session: Session, path: WorkspacePath, name: str, keys: EndpointKeys
    ) -> tuple[Endpoint, bool]:
        workspace = get_workspace(session, path)
        existing = repository.find_for_change(session, workspace, name)
        if existing is not None:
            return existing, False
        is_new = repository.add_endpoint(session, workspace, name, keys, self._box)
        endpoint = repository.find_for_change(session, workspace, name)
        if endpoint is None:
            raise Conflict(f"endpoint {name!r} was deleted at this moment; try again")
        return endpoint, is_new

    def patch(self, path: WorkspacePath, name: str, patch: EndpointPatch) -> Endpoint:
        with transaction(self._sessions) as work:
            endpoint = repository.lock_endpoint(work.session, get_workspace(work.session, path), name.lower())
            repository.check_can_change(endpoint)
            return repository.apply_patch(work.session, endpoint, patch)

    def delete(self, path: WorkspacePath, name: str) -> Endpoint | None:
        """With its deployments. None: it is not there. Said twice, it is the same deletion."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            endpoint = repository.find_own_for_change(work.session, workspace, name.lower())
            if endpoint is None or endpoint.state == ProvisioningState.DELETING:
                return endpoint
            return repository.begin_deletion(work.session, endpoint)

    # Credentials.

    def keys(self, path: WorkspacePath, name: str) -> EndpointKeys:
        with transaction(self._sessions) as work:
            endpoint = repository.get_endpoint(work.session, get_workspace(work.session, path), name.lower())
            _check_keyed(endpoint)
            return repository.stored_keys(work.session, endpoint, self._box)

    def regenerate_key(self, path: WorkspacePath, name: str, kind: KeyType, key: str | None) -> Endpoint:
        """A new key in place of one, which stops working once the gateways know."""
        with transaction(self._sessions) as work:
            endpoint = repository.lock_endpoint(work.session, get_workspace(work.session, path), name.lower())
            repository.check_can_change(endpoint)
            _check_keyed(endpoint)
            current = repository.stored_keys(work.session, endpoint, self._box).of(kind)
            # Azure's SDK sends the current key along and means: a new one.
            wanted = new_key() if key in (None, "", current) else check_key(str(key))
            return repository.store_key(work.session, endpoint, kind, wanted, self._box)

    def token(self, path: WorkspacePath, name: str) -> AccessToken:
        with transaction(self._sessions) as work:
            endpoint = repository.get_endpoint(work.session, get_workspace(work.session, path), name.lower())
            if endpoint.auth_mode == AuthMode.KEY:
                raise InvalidRequest(f"endpoint {endpoint.name!r} takes keys, not tokens: POST …/listKeys instead")
            private_key = repository.token_key(work.session, endpoint, self._box)
        now = int(time.time())
        expires_at = now + _TOKEN_SECONDS
        token = issue_token(private_key, endpoint.name, expires_at)
        return AccessToken(token, expires_at, now + _REFRESH_SECONDS)


def _check_keyed(endpoint: Endpoint) -> None:
    if endpoint.auth_mode != AuthMode.KEY:
        raise InvalidRequest(
            f"endpoint {endpoint.name!r} takes tokens (authMode {endpoint.auth_mode}), not keys: POST …/token instead"
        )
