"""Submitting and watching batch jobs, and downloading predictions and logs."""

from typing import Annotated

from fastapi import Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from control_plane.features.batch_deployments.routes import DEPLOYMENT
from control_plane.features.batch_endpoints.routes import ENDPOINT
from control_plane.features.jobs.job import Job, JobQuery
from control_plane.features.jobs.schemas import JobBody, JobFileBody, JobPatchRequest, SubmissionRequest
from control_plane.features.jobs.service import Jobs
from control_plane.features.jobs.submission import Submissions
from control_plane.resources.assets.asset import ListView
from control_plane.resources.paging import ListBody, PageResult, list_body
from control_plane.resources.urls import ResourceUrls
from control_plane.web.asset_routes import RequestedView
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS, SIGNED_URL_ERRORS
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.job_files import DATASTORES
from modelyard.core.domain.lifecycle import JobState
from modelyard.core.errors import InvalidRequest

_SCORING = "/batch/{endpoint}/jobs"
_JOBS = WORKSPACE + "/jobs"
_JOB = _JOBS + "/{job}"

router = authorized_router("jobs", COMMON_ERRORS)
stored_files = authorized_router("jobs", SIGNED_URL_ERRORS)


def _service(request: Request) -> Jobs:
    service: Jobs = request.app.state.services.jobs
    return service


def _submissions(request: Request) -> Submissions:
    service: Submissions = request.app.state.services.submissions
    return service


Service = Annotated[Jobs, Depends(_service)]
SubmissionService = Annotated[Submissions, Depends(_submissions)]


@router.post(
    _SCORING,
    status_code=201,
    response_model_exclude_none=True,
    responses={
        **CONFLICT_ERRORS,
        200: {"model": JobBody, "description": "An earlier request with the same id has submitted the job."},
    },
)
def submit_job(
    caller: RequestCaller,
    endpoint: str,
    body: SubmissionRequest,
    response: Response,
    urls: RequestUrls,
    submissions: SubmissionService,
    deployment: Annotated[str | None, Header(alias="azureml-model-deployment")] = None,
    request_id: Annotated[str | None, Header(alias="repeatability_request-id")] = None,
) -> JobBody:
    """Submit a job. The bearer token is the admin token or a key of the endpoint."""
    job, is_new = submissions.submit(caller, endpoint, deployment, body.to_spec(), request_id)
    response.status_code = 201 if is_new else 200
    return JobBody.of(job, urls)


@router.get(_SCORING + "/{job}", response_model_exclude_none=True)
def get_submitted_job(
    caller: RequestCaller, endpoint: str, job: str, urls: RequestUrls, submissions: SubmissionService, jobs: Service
) -> JobBody:
    return _with_progress(caller, submissions.get(caller, endpoint, job), urls, jobs)


def _query(
    view: RequestedView,
    status: str | None = None,
    endpoint: str | None = None,
    deployment: str | None = None,
    tag: Annotated[str | None, Query(description="A tag's name, or name=value.")] = None,
) -> JobQuery:
    state = next((state for state in JobState if state.lower() == (status or "").lower()), None)
    if status and state is None:
        raise InvalidRequest(f"status is one of {', '.join(JobState)}, not {status!r}", target="status")
    archived = None if view == ListView.ALL else view == ListView.ARCHIVED_ONLY
    return JobQuery(archived, state, endpoint and endpoint.lower(), deployment and deployment.lower(), tag)


@router.get(_JOBS, response_model_exclude_none=True)
def list_jobs(
    caller: RequestCaller,
    path: RequestedWorkspace,
    query: Annotated[JobQuery, Depends(_query)],
    page: RequestedPage,
    next_link: NextLink,
    urls: RequestUrls,
    jobs: Service,
) -> ListBody[JobBody]:
    """The newest first."""
    return _listed(jobs.list(caller, path, query, page), urls, next_link)


@router.get(ENDPOINT + "/jobs", response_model_exclude_none=True)
def list_jobs_of_endpoint(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    page: RequestedPage,
    next_link: NextLink,
    urls: RequestUrls,
    jobs: Service,
) -> ListBody[JobBody]:
    """The newest first."""
    return _listed(jobs.list_of_endpoint(caller, path, endpoint, None, page), urls, next_link)


@router.get(DEPLOYMENT + "/jobs", response_model_exclude_none=True)
def list_jobs_of_deployment(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    deployment: str,
    page: RequestedPage,
    next_link: NextLink,
    urls: RequestUrls,
    jobs: Service,
) -> ListBody[JobBody]:
    """The newest first."""
    return _listed(jobs.list_of_endpoint(caller, path, endpoint, deployment, page), urls, next_link)


@router.get(_JOB, response_model_exclude_none=True)
def get_job(caller: RequestCaller, path: RequestedWorkspace, job: str, urls: RequestUrls, jobs: Service) -> JobBody:
    """A job, or the child run `<job>-run`, below which Azure's SDK looks for predictions."""
    run = jobs.get_run(caller, path, job)
    return JobBody.of_run(run, urls, jobs.progress(caller, run.job))


@router.put(_JOB, response_model_exclude_none=True)
def put_job(
    caller: RequestCaller, path: RequestedWorkspace, job: str, body: JobPatchRequest, urls: RequestUrls, jobs: Service
) -> JobBody:
    """Archive, restore, tag or rename a job by its whole body. A PUT makes no job: POST to a batch endpoint."""
    return JobBody.of(jobs.put(caller, path, job, body.to_patch()), urls)


@router.patch(_JOB, response_model_exclude_none=True)
def patch_job(
    caller: RequestCaller, path: RequestedWorkspace, job: str, body: JobPatchRequest, urls: RequestUrls, jobs: Service
) -> JobBody:
    """Archive or restore, tag, or change the display name."""
    return JobBody.of(jobs.patch(caller, path, job, body.to_patch()), urls)


@router.post(_JOB + "/cancel", response_model_exclude_none=True, responses=CONFLICT_ERRORS)
def cancel_job(caller: RequestCaller, path: RequestedWorkspace, job: str, urls: RequestUrls, jobs: Service) -> JobBody:
    """Ask a job to stop. Predictions made by then are kept."""
    return JobBody.of(jobs.cancel(caller, path, job), urls)


@router.get(_JOB + "/files", response_model_exclude_none=True)
def list_job_files(
    caller: RequestCaller, path: RequestedWorkspace, job: str, urls: RequestUrls, jobs: Service
) -> ListBody[JobFileBody]:
    """The files written so far, each with a download URL that is valid for an hour. An extension of Modelyard."""
    found = jobs.files(caller, path, job)
    return ListBody(value=[JobFileBody.of(file, urls.stored_file(file.key, query)) for file, query in found])


@stored_files.get(
    f"/{DATASTORES}/{{path:path}}",
    response_class=StreamingResponse,
    responses={200: {"description": "The content.", "content": {"application/octet-stream": {}}}},
)
def get_stored_file(caller: RequestCaller, path: str, request: Request, jobs: Service) -> StreamingResponse:
    """The content of a file in a datastore."""
    content = jobs.content(caller, f"{DATASTORES}/{path}", request.query_params)
    return StreamingResponse(content, media_type="application/octet-stream")


def _with_progress(caller: Caller, job: Job, urls: ResourceUrls, jobs: Jobs) -> JobBody:
    return JobBody.of(job, urls, jobs.progress(caller, job))


def _listed(found: PageResult[Job], urls: ResourceUrls, next_link: str) -> ListBody[JobBody]:
    return list_body(found, lambda job: JobBody.of(job, urls), next_link)
