"""Changing batch endpoints."""

from sqlalchemy.orm import Session

from control_plane.features.batch_endpoints import repository
from control_plane.features.batch_endpoints.endpoint import Endpoint, EndpointPatch, EndpointSpec
from control_plane.resources.endpoints.credentials import EndpointKeys
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.adapters.secret_box import SecretBox
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.names import check_endpoint_name
from modelyard.core.errors import Conflict


class BatchEndpoints:
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
            return repository.apply_spec(work.session, endpoint, spec), is_new

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
            return repository.apply_patch(work.session, endpoint, patch)

    def delete(self, path: WorkspacePath, name: str) -> bool:
        """With its deployments; its jobs stay. False: it is not there."""
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            endpoint = repository.find_own_for_change(work.session, workspace, name.lower())
            if endpoint is None:
                return False
            repository.remove(work.session, endpoint)
            return True

    def keys(self, path: WorkspacePath, name: str) -> EndpointKeys:
        with transaction(self._sessions) as work:
            endpoint = repository.get_endpoint(work.session, get_workspace(work.session, path), name.lower())
            return repository.stored_keys(work.session, endpoint, self._box)
