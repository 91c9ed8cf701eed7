"""Submitting jobs: a request to an endpoint becomes a row with all that a batch worker needs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.features.batch_deployments.deployment import BatchDeployment
from control_plane.features.batch_deployments.repository import DEPLOYMENTS
from control_plane.features.batch_endpoints.endpoint import BatchEndpoint
from control_plane.features.batch_endpoints.repository import ENDPOINTS
from control_plane.features.jobs import repository
from control_plane.features.jobs.inputs import check_input_exists, joined, requested_output, resolve_inputs
from control_plane.features.jobs.job import Job, JobInput, JobSpec, NewJob
from control_plane.resources.datastore import DatastorePath
from control_plane.resources.workspaces.repository import workspace_of
from control_plane.resources.workspaces.workspace import Workspace
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.rows import BatchEndpointRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.job_files import default_output_key, logs_prefix
from modelyard.core.domain.names import check_asset_name
from modelyard.core.domain.roles import Role
from modelyard.core.errors import Conflict, InvalidRequest, ResourceNotFound
from modelyard.core.ports.object_store import ObjectStore


class DeploymentNotFound(InvalidRequest):
    status = HTTPStatus.NOT_FOUND
    code = "DeploymentNotFound"


class NoDefaultDeployment(InvalidRequest):
    code = "NoDefaultDeployment"


class DeploymentNotReady(Conflict):
    code = "DeploymentNotReady"


class OutputExists(Conflict):
    code = "OutputAlreadyExists"


class JobNameTaken(Conflict):
    code = "JobNameTaken"


class Submissions:
    def __init__(self, sessions: Sessions, store: ObjectStore, dispatcher: Dispatcher) -> None:
        self._sessions = sessions
        self._store = store
        self._dispatcher = dispatcher

    def submit(
        self, caller: Caller, endpoint: str, deployment: str | None, spec: JobSpec, request_id: str | None
    ) -> tuple[Job, bool]:
        """The job, and whether the job is new. A repeated request id on an endpoint returns the earlier job."""
        with transaction(self._sessions) as work:
            owner = _endpoint_for(caller, work.session, endpoint)
            known = repository.find_by_request(work.session, owner.workspace, owner.name, request_id)
            if known is not None:
                return known, False
            new, inputs = _prepared(work.session, owner, deployment, spec, request_id)
        # No transaction is open: the object store may be far away.
        for job_input in inputs:
            check_input_exists(self._store, job_input)
        new = replace(new, input=joined(self._store, inputs))
        output_exists = self._store.exists(new.output_key)
        with transaction(self._sessions) as work:
            repository.lock_submissions(work.session)
            known = repository.find_by_request(work.session, owner.workspace, owner.name, request_id)
            if known is not None:
                return known, False
            _check_free(work.session, owner.workspace, new, output_exists=output_exists)
            job = repository.add_job(work.session, caller, owner.workspace, new)
            work.after_commit(partial(self._dispatcher.run_job, job.key))
            return job, True

    def get(self, caller: Caller, endpoint: str, name: str) -> Job:
        with transaction(self._sessions) as work:
            owner = _endpoint_for(caller, work.session, endpoint)
            job = repository.get_job(work.session, owner.workspace, name)
        if job.endpoint != owner.name:
            raise ResourceNotFound(f"endpoint {owner.name!r} has no job {name!r}")
        return job


def _endpoint_for(caller: Caller, session: Session, name: str) -> BatchEndpoint:
    """The endpoint, for a scorer. Names of batch endpoints are unique on the whole platform.

    Raises ResourceNotFound for an absent endpoint, and alike for an endpoint of a workspace that is not the caller's.
    """
    row = session.scalar(select(BatchEndpointRow).where(BatchEndpointRow.name == name.lower()))
    workspace = None if row is None else workspace_of(session, row.workspace_id)
    if row is None or workspace is None or not caller.is_member(workspace.arm_id):
        raise ResourceNotFound(f"there is no batch endpoint {name!r}; PUT it to create it")
    caller.check_role(Role.SCORER, workspace.arm_id)
    return ENDPOINTS.value(session, workspace, row)


def _prepared(
    session: Session, owner: BatchEndpoint, deployment: str | None, spec: JobSpec, request_id: str | None
) -> tuple[NewJob, Sequence[JobInput]]:
    """The job, whose input is the first of the inputs until all are joined."""
    chosen = _deployment(session, owner, deployment)
    if chosen.build is None:
        reason = chosen.failure.message if chosen.failure else "its environment is still being built: try again"
        raise DeploymentNotReady(f"deployment {chosen.name!r} of endpoint {owner.name!r} cannot score yet: {reason}")
    settings = chosen.settings.with_overrides(spec.overrides)
    name = check_asset_name(spec.name, noun="job") if spec.name else f"batchjob-{uuid4()}"
    path = requested_output(owner.workspace, spec, settings.output_file_name)
    datastores = owner.workspace.datastores
    inputs = resolve_inputs(session, owner.workspace, spec)
    new = NewJob(
        name=name,
        spec=spec,
        endpoint=owner.name,
        deployment=chosen.name,
        request_id=request_id,
        bundle_hash=chosen.build.bundle_hash,
        lock_hash=chosen.build.lock_hash,
        settings=settings,
        input=inputs[0],
        output_key=path.key_in(datastores) if path else default_output_key(datastores, name, settings.output_file_name),
        logs_prefix=logs_prefix(datastores, name),
    )
    return new, inputs


def _deployment(session: Session, owner: BatchEndpoint, name: str | None) -> BatchDeployment:
    wanted = name or owner.default_deployment
    if not wanted:
        raise NoDefaultDeployment(
            f"endpoint {owner.name!r} has no default deployment: name one in the header azureml-model-deployment, or "
            "PATCH the endpoint with properties.defaults.deploymentName"
        )
    found = DEPLOYMENTS.find(session, owner, wanted.lower())
    if found is None:
        raise DeploymentNotFound(
            f"endpoint {owner.name!r} has no deployment {wanted!r}: create the deployment, or name another in the "
            "header azureml-model-deployment. Azure's SDK sends the deployment of an earlier invoke(deployment_name=…) "
            "of the same process again, also to other endpoints: pass deployment_name, or use a new process"
        )
    return found


def _check_free(session: Session, workspace: Workspace, new: NewJob, *, output_exists: bool) -> None:
    if repository.name_is_taken(session, workspace, new.name):
        raise JobNameTaken(f"a job named {new.name!r} exists already: choose another name, or leave the name out")
    if output_exists:
        raise OutputExists(
            f"{_output_uri(workspace, new)} exists already: name another file in outputData, or leave outputData out"
        )
    writer = repository.writer_of(session, new.output_key)
    if writer is not None:
        raise OutputExists(
            f"job {writer!r} is going to write {_output_uri(workspace, new)}: name another file in outputData"
        )


def _output_uri(workspace: Workspace, new: NewJob) -> str:
    return DatastorePath.of_key(workspace.datastores, new.output_key).uri
