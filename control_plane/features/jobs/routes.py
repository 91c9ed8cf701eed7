"""Submitting batch jobs, watching them, and fetching what they wrote."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from control_plane.features.batch_deployments.routes import DEPLOYMENT
from control_plane.features.batch_endpoints.routes import ENDPOINT
from control_plane.features.jobs.job import Job, JobQuery
from control_plane.features.jobs.schemas import JobBody, JobFileBody, JobPatchRequest, SubmissionRequest
from control_plane.features.jobs.service import Jobs
from control_plane.features.jobs.submission import Submissions
from control_plane.features.workspaces.routes import WORKSPACE, AskedWorkspace
from control_plane.resources.assets.asset import ListView
from control_plane.resources.paging import ListBody, NextLink, RequestPage, Slice
from control_plane.resources.urls import Links, RequestLinks
from control_plane.web.asset_queries import AskedView
from control_plane.web.openapi_responses import CONFLICTS, SIGNED_REFUSALS, USUAL_REFUSALS
from modelyard.core.domain.job_files import DATASTORES
from modelyard.core.domain.lifecycle import JobState
from modelyard.core.errors import InvalidRequest

_SCORING = "/batch/{endpoint}/jobs"
_JOBS = WORKSPACE + "/jobs"
_JOB = _JOBS + "/{job}"

router = APIRouter(tags=["jobs"], responses=USUAL_REFUSALS)
stored_files = APIRouter(tags=["jobs"], responses=SIGNED_REFUSALS)


def _service(request: Request) -> Jobs:
    service: Jobs = request.app.state.services.jobs
    return service


def _submissions(request: Request) -> Submissions:
    service: Submissions = request.app.state.services.submissions
    return service


Service = Annotated[Jobs, Depends(_service)]
Door = Annotated[Submissions, Depends(_submissions)]


@router.post(
    _SCORING,
    status_code=201,
    response_model_exclude_none=True,
    responses={**CONFLICTS, 200: {"model": JobBody, "description": "The same request had begun it before."}},
)
def submit_job(
    endpoint: str,
    body: SubmissionRequest,
    response: Response,
    links: RequestLinks,
    submissions: Door,
    deployment: Annotated[str | None, Header(alias="azureml-model-deployment")] = None,
    request_id: Annotated[str | None, Header(alias="repeatability_request-id")] = None,
) -> JobBody:
    """Begin a job. The bearer is the admin token or one of the endpoint's keys."""
    job, is_new = submissions.submit(endpoint, deployment, body.wish(), request_id)
    response.status_code = 201 if is_new else 200
    return JobBody.of(job, links)


@router.get(_SCORING + "/{job}", response_model_exclude_none=True)
def get_submitted_job(endpoint: str, job: str, links: RequestLinks, submissions: Door, jobs: Service) -> JobBody:
    return _whole(submissions.get(endpoint, job), links, jobs)


def _query(
    view: AskedView,
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
    path: AskedWorkspace,
    query: Annotated[JobQuery, Depends(_query)],
    page: RequestPage,
    next_link: NextLink,
    links: RequestLinks,
    jobs: Service,
) -> ListBody[JobBody]:
    """The newest first."""
    return _listed(jobs.list(path, query, page), links, next_link)


@router.get(ENDPOINT + "/jobs", response_model_exclude_none=True)
def list_jobs_of_endpoint(
    path: AskedWorkspace, endpoint: str, page: RequestPage, next_link: NextLink, links: RequestLinks, jobs: Service
) -> ListBody[JobBody]:
    """The newest first."""
    return _listed(jobs.of_endpoint(path, endpoint, None, page), links, next_link)


@router.get(DEPLOYMENT + "/jobs", response_model_exclude_none=True)
def list_jobs_of_deployment(
    path: AskedWorkspace,
    endpoint: str,
    deployment: str,
    page: RequestPage,
    next_link: NextLink,
    links: RequestLinks,
    jobs: Service,
) -> ListBody[JobBody]:
    """The newest first."""
    return _listed(jobs.of_endpoint(path, endpoint, deployment, page), links, next_link)


@router.get(_JOB, response_model_exclude_none=True)
def get_job(path: AskedWorkspace, job: str, links: RequestLinks, jobs: Service) -> JobBody:
    return _whole(jobs.get(path, job), links, jobs)


@router.patch(_JOB, response_model_exclude_none=True)
def patch_job(path: AskedWorkspace, job: str, body: JobPatchRequest, links: RequestLinks, jobs: Service) -> JobBody:
    """Archive, tag, or name for display."""
    return JobBody.of(jobs.patch(path, job, body.patch()), links)


@router.post(_JOB + "/cancel", response_model_exclude_none=True, responses=CONFLICTS)
def cancel_job(path: AskedWorkspace, job: str, links: RequestLinks, jobs: Service) -> JobBody:
    """Ask it to stop. What was scored by then is kept."""
    return JobBody.of(jobs.cancel(path, job), links)


@router.get(_JOB + "/files", response_model_exclude_none=True)
def list_job_files(path: AskedWorkspace, job: str, links: RequestLinks, jobs: Service) -> ListBody[JobFileBody]:
    """What it has written so far, each file with a URL that is good for an hour. An extension of Modelyard."""
    found = jobs.files(path, job)
    return ListBody(value=[JobFileBody.of(file, links.stored_file(file.key, query)) for file, query in found])


@stored_files.get(
    f"/{DATASTORES}/{{path:path}}",
    response_class=StreamingResponse,
    responses={200: {"description": "The content.", "content": {"application/octet-stream": {}}}},
)
def get_stored_file(path: str, request: Request, jobs: Service) -> StreamingResponse:
    """The content of a file in a data store."""
    content = jobs.content(f"{DATASTORES}/{path}", request.query_params)
    return StreamingResponse(content, media_type="application/octet-stream")


def _whole(job: Job, links: Links, jobs: Jobs) -> JobBody:
    return JobBody.of(job, links, jobs.progress(job))


def _listed(found: Slice[Job], links: Links, next_link: str) -> ListBody[JobBody]:
    bodies = [JobBody.of(job, links) for job in found.items]
    return ListBody(value=bodies, next_link=next_link if found.has_more else None)
