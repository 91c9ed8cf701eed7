"""Changing deployments. Each change is a row that somebody else acts on: the builder, then the host."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy.orm import Session

from control_plane.features.online_deployments import repository
from control_plane.features.online_deployments.deployment import (
    OnlineDeployment,
    OnlineDeploymentPatch,
    OnlineDeploymentSpec,
    Step,
    Worker,
    check_is_settled,
    next_step,
)
from control_plane.features.online_endpoints.endpoint import Endpoint
from control_plane.features.online_endpoints.repository import find_own_for_change, get_endpoint, lock_endpoint
from control_plane.resources.deployments.references import ResolvedSpec, resolve
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.unit_of_work import Sessions, UnitOfWork, transaction
from modelyard.core.domain.bundle import SCORING_SCRIPT
from modelyard.core.domain.deployment import check_instance_count
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.names import check_deployment_name
from modelyard.core.errors import DeploymentStillServing, EndpointBeingDeleted, ResourceNotFound
from modelyard.core.logs import read_log
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore


class OnlineDeployments:
    def __init__(self, sessions: Sessions, store: ObjectStore, dispatcher: Dispatcher) -> None:
        self._sessions = sessions
        self._store = store
        self._dispatcher = dispatcher

    def get(self, path: WorkspacePath, endpoint: str, name: str) -> OnlineDeployment:
        with transaction(self._sessions) as work:
            return repository.get_deployment(work.session, _endpoint(work.session, path, endpoint), name.lower())

    def list(self, path: WorkspacePath, endpoint: str, page: Page) -> PageResult[OnlineDeployment]:
        with transaction(self._sessions) as work:
            found = repository.list_deployments(work.session, _endpoint(work.session, path, endpoint), page)
            return PageResult.of(found, page)

    def put(
        self, path: WorkspacePath, endpoint: str, name: str, spec: OnlineDeploymentSpec
    ) -> tuple[OnlineDeployment, bool]:
        """The deployment, and whether it is new."""
        name = check_deployment_name(name).lower()
        check_instance_count(spec.instance_count)
        with transaction(self._sessions) as work:
            owner = _locked_endpoint(work.session, path, endpoint)
            resolved = resolve(work.session, owner.workspace, spec.generation)
            current = repository.find_deployment(work.session, owner, name, lock=True)
            if current is not None:
                return self._changed(work, owner, current, spec, resolved), False
            added, generation_id = repository.add_deployment(work.session, owner, name, spec, resolved)
            self._send_build(work, generation_id)
            return added, True

    def patch(self, path: WorkspacePath, endpoint: str, name: str, patch: OnlineDeploymentPatch) -> OnlineDeployment:
        with transaction(self._sessions) as work:
            owner = _locked_endpoint(work.session, path, endpoint)
            current = repository.get_deployment(work.session, owner, name.lower(), lock=True)
            spec = _patched(current, patch)
            if patch.instance_count is None:
                check_is_settled(current)
                return repository.describe(work.session, owner, current, spec)
            check_instance_count(spec.instance_count)
            return self._changed(work, owner, current, spec, resolve(work.session, owner.workspace, spec.generation))

    def _changed(
        self,
        work: UnitOfWork,
        owner: Endpoint,
        current: OnlineDeployment,
        spec: OnlineDeploymentSpec,
        resolved: ResolvedSpec,
    ) -> OnlineDeployment:
        match next_step(current, resolved.spec, spec.instance_count):
            case Step.DESCRIBE:
                return repository.describe(work.session, owner, current, spec)
            case Step.SCALE:
                return repository.scale(work.session, owner, current, spec)
            case Step.REPLACE:
                changed, generation_id = repository.replace_generation(work.session, owner, current, spec, resolved)
                self._send_build(work, generation_id)
                return changed

    def _send_build(self, work: UnitOfWork, generation_id: int) -> None:
        work.after_commit(partial(self._dispatcher.build_deployment, generation_id))

    def delete(self, path: WorkspacePath, endpoint: str, name: str) -> OnlineDeployment | None:
        """None: it is not there. Said twice, it is the same deletion."""
        with transaction(self._sessions) as work:
            owner = find_own_for_change(work.session, get_workspace(work.session, path), endpoint.lower())
            if owner is None:
                return None
            current = repository.find_deployment(work.session, owner, name.lower(), lock=True)
            if current is None or current.state == ProvisioningState.DELETING:
                return current
            percent = owner.traffic.get(current.name, 0) or owner.mirror_traffic.get(current.name, 0)
            if percent:
                raise DeploymentStillServing(current.name, percent)
            return repository.begin_deletion(work.session, owner, current)

    # What a deployment has to show.

    def workers(self, path: WorkspacePath, endpoint: str, name: str) -> Sequence[Worker]:
        with transaction(self._sessions) as work:
            owner = _endpoint(work.session, path, endpoint)
            return repository.list_workers(work.session, repository.get_deployment(work.session, owner, name.lower()))

    def logs(self, path: WorkspacePath, endpoint: str, name: str, container: str, tail: int | None) -> str:
        return read_log(self._store, self.get(path, endpoint, name).key, container, tail)

    def scoring_script(self, path: WorkspacePath, endpoint: str, name: str) -> str:
        with transaction(self._sessions) as work:
            owner = _endpoint(work.session, path, endpoint)
            deployment = repository.get_deployment(work.session, owner, name.lower())
            bundle = repository.bundle_hash(work.session, deployment)
        if bundle is None:
            raise ResourceNotFound(f"deployment {name!r} has no scoring script yet: its build has not come so far")
        try:
            return b"".join(self._store.get(f"bundles/{bundle}/{SCORING_SCRIPT}")).decode()
        except ObjectMissing:
            raise ResourceNotFound(f"the scoring script of deployment {name!r} is no longer stored") from None


def _endpoint(session: Session, path: WorkspacePath, name: str) -> Endpoint:
    return get_endpoint(session, get_workspace(session, path), name.lower())


def _locked_endpoint(session: Session, path: WorkspacePath, name: str) -> Endpoint:
    endpoint = lock_endpoint(session, get_workspace(session, path), name.lower())
    if endpoint.state == ProvisioningState.DELETING:
        raise EndpointBeingDeleted(endpoint.name)
    return endpoint


def _patched(current: OnlineDeployment, patch: OnlineDeploymentPatch) -> OnlineDeploymentSpec:
    return OnlineDeploymentSpec(
        generation=current.spec,
        instance_count=current.instance_count if patch.instance_count is None else patch.instance_count,
        location=current.location,
        tags=current.tags if patch.tags is None else patch.tags,
        properties=current.properties,
        body=current.body,
    )
