"""Changing online deployments. A change is a row, on which the builder acts first and the host then."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from control_plane.features.online_deployments import repository
from control_plane.features.online_deployments.deployment import (
    OnlineDeployment,
    OnlineDeploymentPatch,
    OnlineDeploymentSpec,
    UpdateStep,
    Worker,
    update_step,
)
from control_plane.features.online_deployments.repository import DEPLOYMENTS
from control_plane.features.online_endpoints.endpoint import OnlineEndpoint
from control_plane.features.online_endpoints.repository import ENDPOINTS
from control_plane.resources.deployments.deployment import check_is_settled
from control_plane.resources.deployments.references import ResolvedSpec
from control_plane.resources.deployments.service import Deployments
from control_plane.resources.environments.curated import CuratedEnvironments
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.rows import OnlineDeploymentRow, OnlineEndpointRow
from modelyard.core.db.unit_of_work import Sessions, UnitOfWork, transaction
from modelyard.core.domain.bundle import SCORING_SCRIPT
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.deployment import check_instance_count
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.names import check_deployment_name
from modelyard.core.errors import DeploymentStillServing, EndpointBeingDeleted, ResourceNotFound
from modelyard.core.logs import read_log
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore


class OnlineDeployments(Deployments[OnlineEndpointRow, OnlineEndpoint, OnlineDeploymentRow, OnlineDeployment]):
    def __init__(
        self, sessions: Sessions, store: ObjectStore, dispatcher: Dispatcher, curated: CuratedEnvironments
    ) -> None:
        super().__init__(sessions, store, dispatcher, ENDPOINTS, DEPLOYMENTS, curated)

    def put(
        self, caller: Caller, path: WorkspacePath, endpoint: str, name: str, spec: OnlineDeploymentSpec
    ) -> tuple[OnlineDeployment, bool]:
        """The deployment, and whether it is new."""
        name = check_deployment_name(name).lower()
        with transaction(self._sessions) as work:
            owner = self._changeable_endpoint(work.session, path, endpoint)
            resolved = self._resolved(work.session, owner, spec.generation)
            current = DEPLOYMENTS.find(work.session, owner, name, lock=True)
            if current is not None:
                return self._update(work, caller, owner, current, spec, resolved), False
            added, generation_id = DEPLOYMENTS.add(
                work.session, caller, owner, name, spec, resolved, instance_count=spec.instance_count
            )
            self._send_build(work, generation_id)
            return added, True

    def patch(
        self, caller: Caller, path: WorkspacePath, endpoint: str, name: str, patch: OnlineDeploymentPatch
    ) -> OnlineDeployment:
        with transaction(self._sessions) as work:
            owner = self._changeable_endpoint(work.session, path, endpoint)
            current = DEPLOYMENTS.get(work.session, owner, name.lower(), lock=True)
            spec = patch.apply_to(current)
            if patch.instance_count is None:
                check_is_settled(current)
                return repository.describe(work.session, caller, owner, current, spec)
            check_instance_count(spec.instance_count)
            resolved = self._resolved(work.session, owner, spec.generation)
            return self._update(work, caller, owner, current, spec, resolved)

    def _update(
        self,
        work: UnitOfWork,
        caller: Caller,
        owner: OnlineEndpoint,
        current: OnlineDeployment,
        spec: OnlineDeploymentSpec,
        resolved: ResolvedSpec,
    ) -> OnlineDeployment:
        match update_step(current, resolved.spec, spec.instance_count):
            case UpdateStep.DESCRIBE:
                return repository.describe(work.session, caller, owner, current, spec)
            case UpdateStep.SCALE:
                return repository.scale(work.session, caller, owner, current, spec)
            case UpdateStep.REPLACE:
                updated, generation_id = repository.replace_generation(
                    work.session, caller, owner, current, spec, resolved
                )
                self._send_build(work, generation_id)
                return updated

    def delete(self, caller: Caller, path: WorkspacePath, endpoint: str, name: str) -> OnlineDeployment | None:
        """Begin to delete a deployment, unless the deletion has begun. None: the deployment does not exist."""
        with transaction(self._sessions) as work:
            owner = ENDPOINTS.find_for_change(work.session, get_workspace(work.session, path), endpoint.lower())
            if owner is None:
                return None
            current = DEPLOYMENTS.find(work.session, owner, name.lower(), lock=True)
            if current is None or current.state == ProvisioningState.DELETING:
                return current
            percent = owner.traffic.get(current.name, 0) or owner.mirror_traffic.get(current.name, 0)
            if percent:
                raise DeploymentStillServing(current.name, percent)
            return repository.begin_deletion(work.session, caller, owner, current)

    def _changeable_endpoint(self, session: Session, path: WorkspacePath, name: str) -> OnlineEndpoint:
        endpoint = self._locked_endpoint(session, path, name)
        if endpoint.state == ProvisioningState.DELETING:
            raise EndpointBeingDeleted(endpoint.name)
        return endpoint

    # Workers, logs and the scoring script.

    def workers(self, caller: Caller, path: WorkspacePath, endpoint: str, name: str) -> Sequence[Worker]:
        with transaction(self._sessions) as work:
            owner = self._endpoint(work.session, path, endpoint)
            return repository.list_workers(work.session, DEPLOYMENTS.get(work.session, owner, name.lower()))

    def logs(
        self, caller: Caller, path: WorkspacePath, endpoint: str, name: str, container: str, tail: int | None
    ) -> str:
        return read_log(self._store, self.get(caller, path, endpoint, name).key, container, tail)

    def scoring_script(self, caller: Caller, path: WorkspacePath, endpoint: str, name: str) -> str:
        with transaction(self._sessions) as work:
            owner = self._endpoint(work.session, path, endpoint)
            deployment = DEPLOYMENTS.get(work.session, owner, name.lower())
            bundle = repository.bundle_hash(work.session, deployment)
        if bundle is None:
            raise ResourceNotFound(f"deployment {name!r} has no scoring script yet: the bundle is not built")
        try:
            return b"".join(self._store.get(f"bundles/{bundle}/{SCORING_SCRIPT}")).decode()
        except ObjectMissing:
            raise ResourceNotFound(f"the scoring script of deployment {name!r} is no longer stored") from None
