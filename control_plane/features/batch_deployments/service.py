"""Changing batch deployments. A new generation is a row that the builder acts on; all else is done at once."""

from functools import partial

from sqlalchemy.orm import Session

from control_plane.features.batch_deployments import repository
from control_plane.features.batch_deployments.deployment import (
    BatchDeployment,
    BatchDeploymentPatch,
    BatchDeploymentSpec,
    needs_build,
)
from control_plane.features.batch_endpoints.endpoint import Endpoint
from control_plane.features.batch_endpoints.repository import find_own_for_change, get_endpoint, lock_endpoint
from control_plane.resources.deployments.references import resolve
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.unit_of_work import Sessions, UnitOfWork, transaction
from modelyard.core.domain.names import check_deployment_name
from modelyard.core.logs import STORAGE_INITIALIZER, batch_log, read_log
from modelyard.core.ports.object_store import ObjectStore


class BatchDeployments:
    def __init__(self, sessions: Sessions, store: ObjectStore, dispatcher: Dispatcher) -> None:
        self._sessions = sessions
        self._store = store
        self._dispatcher = dispatcher

    def get(self, path: WorkspacePath, endpoint: str, name: str) -> BatchDeployment:
        with transaction(self._sessions) as work:
            return repository.get_deployment(work.session, _endpoint(work.session, path, endpoint), name.lower())

    def list(self, path: WorkspacePath, endpoint: str, page: Page) -> PageResult[BatchDeployment]:
        with transaction(self._sessions) as work:
            found = repository.list_deployments(work.session, _endpoint(work.session, path, endpoint), page)
            return PageResult.of(found, page)

    def put(
        self, path: WorkspacePath, endpoint: str, name: str, spec: BatchDeploymentSpec
    ) -> tuple[BatchDeployment, bool]:
        """The deployment, and whether it is new."""
        name = check_deployment_name(name).lower()
        with transaction(self._sessions) as work:
            owner = _locked_endpoint(work.session, path, endpoint)
            resolved = resolve(work.session, owner.workspace, spec.generation)
            current = repository.find_deployment(work.session, owner, name, lock=True)
            if current is None:
                added, generation_id = repository.add_deployment(work.session, owner, name, spec, resolved)
            elif needs_build(current, resolved.spec):
                added, generation_id = repository.replace_generation(work.session, owner, current, spec, resolved)
            else:
                return repository.describe(work.session, owner, current, spec), False
            self._send_build(work, generation_id)
            return added, current is None

    def patch(self, path: WorkspacePath, endpoint: str, name: str, patch: BatchDeploymentPatch) -> BatchDeployment:
        with transaction(self._sessions) as work:
            owner = _locked_endpoint(work.session, path, endpoint)
            current = repository.get_deployment(work.session, owner, name.lower(), lock=True)
            return repository.describe(work.session, owner, current, _patched(current, patch))

    def _send_build(self, work: UnitOfWork, generation_id: int) -> None:
        work.after_commit(partial(self._dispatcher.build_deployment, generation_id))

    def delete(self, path: WorkspacePath, endpoint: str, name: str) -> bool:
        """Its jobs stay. False: it is not there."""
        with transaction(self._sessions) as work:
            owner = find_own_for_change(work.session, get_workspace(work.session, path), endpoint.lower())
            current = repository.find_deployment(work.session, owner, name.lower(), lock=True) if owner else None
            if owner is None or current is None:
                return False
            repository.remove(work.session, owner, current)
            return True

    def build_log(self, path: WorkspacePath, endpoint: str, name: str, tail: int | None) -> str:
        log = batch_log(self.get(path, endpoint, name).key)
        return read_log(self._store, log, STORAGE_INITIALIZER, tail)


def _endpoint(session: Session, path: WorkspacePath, name: str) -> Endpoint:
    return get_endpoint(session, get_workspace(session, path), name.lower())


def _locked_endpoint(session: Session, path: WorkspacePath, name: str) -> Endpoint:
    return lock_endpoint(session, get_workspace(session, path), name.lower())


def _patched(current: BatchDeployment, patch: BatchDeploymentPatch) -> BatchDeploymentSpec:
    return BatchDeploymentSpec(
        generation=current.spec,
        settings=current.settings.with_overrides(patch.overrides),
        location=current.location,
        description=current.description if patch.description is None else patch.description,
        tags=current.tags if patch.tags is None else patch.tags,
        properties=current.properties,
        body=current.body,
    )
