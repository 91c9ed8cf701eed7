"""Discovery and run history: the services beside Resource Manager that Azure's SDK asks for jobs."""

from typing import Annotated

from fastapi import Depends, Request

from control_plane.features.batch_deployments.routes import DEPLOYMENT
from control_plane.features.batch_endpoints.routes import ENDPOINT
from control_plane.features.jobs.routes import list_jobs_of_deployment, list_jobs_of_endpoint
from control_plane.features.run_history.schemas import (
    DiscoveryBody,
    OutputType,
    ResolvedUri,
    ResolvedUrisBody,
    ResolveUrisRequest,
    RunBody,
    RunDataBody,
    RunDataRequest,
    RunDetailsBody,
    RunPatchRequest,
)
from control_plane.features.run_history.service import RunHistory
from control_plane.resources.paging import ListBody, list_body
from control_plane.web.arm_path import BATCH_FRONT_END, DATA_SETS, RUN_HISTORY
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS, PUBLIC_ERRORS
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace

_WORKSPACE = RUN_HISTORY + WORKSPACE
_RUN = _WORKSPACE + "/runs/{run}"

router = authorized_router("run history", COMMON_ERRORS)
discovery = authorized_router("run history", PUBLIC_ERRORS)


def _service(request: Request) -> RunHistory:
    service: RunHistory = request.app.state.services.run_history
    return service


Service = Annotated[RunHistory, Depends(_service)]


@discovery.get("/discovery")
def get_discovery(urls: RequestUrls) -> DiscoveryBody:
    """The base URL of this platform, at which a workspace's `discoveryUrl` points."""
    return DiscoveryBody(api=urls.control)


# The jobs of a batch endpoint and of a batch deployment, under the paths that Azure's SDK asks.
router.get(BATCH_FRONT_END + ENDPOINT + "/jobs", name="list_runs_of_endpoint", response_model_exclude_none=True)(
    list_jobs_of_endpoint
)
router.get(BATCH_FRONT_END + DEPLOYMENT + "/jobs", name="list_runs_of_deployment", response_model_exclude_none=True)(
    list_jobs_of_deployment
)


@router.get(_RUN, response_model_exclude_none=True)
def get_run(caller: RequestCaller, path: RequestedWorkspace, run: str, runs: Service) -> RunBody:
    """A job, or the child run `<job>-run`."""
    return RunBody.of(runs.get(caller, path, run))


@router.get(_RUN + "/details", response_model_exclude_none=True)
def get_run_details(
    caller: RequestCaller, path: RequestedWorkspace, run: str, urls: RequestUrls, runs: Service
) -> RunDetailsBody:
    """Status, error and logs, for clients that follow a job."""
    found = runs.get(caller, path, run)
    return RunDetailsBody.of(found, runs.logs(caller, found), urls)


@router.get(_RUN + "/children", response_model_exclude_none=True)
def list_child_runs(
    caller: RequestCaller, path: RequestedWorkspace, run: str, page: RequestedPage, next_link: NextLink, runs: Service
) -> ListBody[RunBody]:
    return list_body(runs.children(caller, path, run, page), RunBody.of, next_link)


@router.post(_WORKSPACE + "/rundata", response_model_exclude_none=True)
def get_run_data(
    caller: RequestCaller, path: RequestedWorkspace, body: RunDataRequest, request: Request, runs: Service
) -> RunDataBody:
    output_type = OutputType.CURRENT if "api-version" in request.query_params else OutputType.OLDER
    return RunDataBody(run_metadata=RunBody.of(runs.get(caller, path, body.run_id), output_type))


@router.post(DATA_SETS + WORKSPACE + "/dataversion/batchGetResolvedUris")
def resolve_data_uris(
    caller: RequestCaller, path: RequestedWorkspace, body: ResolveUrisRequest, runs: Service
) -> ResolvedUrisBody:
    """The places of outputs, for clients that download them."""
    found = runs.resolve(caller, path, body.values)
    return ResolvedUrisBody(values={uri: ResolvedUri(uri=place) for uri, place in found.items()})


@router.patch(
    _WORKSPACE + "/experiments/{experiment}/runs/{run}", response_model_exclude_none=True, responses=CONFLICT_ERRORS
)
def patch_run(
    caller: RequestCaller, path: RequestedWorkspace, experiment: str, run: str, body: RunPatchRequest, runs: Service
) -> RunBody:
    """Archive (hidden), restore, rename or tag a job. The experiment may have any name: jobs' names are unique."""
    return RunBody.of(runs.patch(caller, path, run, body.to_patch()))
