"""Batch deployments and build logs."""

from typing import Annotated

from fastapi import Depends, Request, Response

from control_plane.features.batch_deployments.deployment import BatchDeployment
from control_plane.features.batch_deployments.schemas import (
    BatchDeploymentBody,
    BatchDeploymentPatchRequest,
    BatchDeploymentRequest,
    BuildLogBody,
    BuildLogRequest,
)
from control_plane.features.batch_deployments.service import BatchDeployments
from control_plane.features.batch_endpoints.routes import ENDPOINT
from control_plane.resources.paging import ListBody, list_body
from control_plane.resources.urls import ResourceUrls
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.operation_headers import OPERATION_HEADERS, announce
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import RequestedWorkspace

_DEPLOYMENTS = ENDPOINT + "/deployments"
DEPLOYMENT = _DEPLOYMENTS + "/{deployment}"

# Twins of the routes of online_deployments, on purpose: status codes, headers and bodies differ, and the signature of a
# route documents the parameters.
router = authorized_router("batchDeployments", COMMON_ERRORS)


def _service(request: Request) -> BatchDeployments:
    service: BatchDeployments = request.app.state.services.batch_deployments
    return service


Service = Annotated[BatchDeployments, Depends(_service)]


@router.get(_DEPLOYMENTS, response_model_exclude_none=True)
def list_batch_deployments(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    page: RequestedPage,
    next_link: NextLink,
    urls: RequestUrls,
    deployments: Service,
) -> ListBody[BatchDeploymentBody]:
    return list_body(
        deployments.list(caller, path, endpoint, page),
        lambda deployment: BatchDeploymentBody.of(deployment, urls),
        next_link,
    )


@router.get(DEPLOYMENT, response_model_exclude_none=True)
def get_batch_deployment(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    deployment: str,
    urls: RequestUrls,
    deployments: Service,
) -> BatchDeploymentBody:
    return BatchDeploymentBody.of(deployments.get(caller, path, endpoint, deployment), urls)


@router.put(
    DEPLOYMENT,
    response_model_exclude_none=True,
    responses={
        **CONFLICT_ERRORS,
        200: {"headers": OPERATION_HEADERS},
        201: {"model": BatchDeploymentBody, "description": "Being created.", "headers": OPERATION_HEADERS},
    },
)
def put_batch_deployment(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    deployment: str,
    body: BatchDeploymentRequest,
    response: Response,
    urls: RequestUrls,
    deployments: Service,
) -> BatchDeploymentBody:
    """Create or replace a deployment. New settings apply to the next job, and need no build."""
    put, is_new = deployments.put(caller, path, endpoint, deployment, body.to_spec())
    response.status_code = 201 if is_new else 200
    return _announced(put, response, urls)


@router.patch(DEPLOYMENT, response_model_exclude_none=True, responses=CONFLICT_ERRORS)
def patch_batch_deployment(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    deployment: str,
    body: BatchDeploymentPatchRequest,
    urls: RequestUrls,
    deployments: Service,
) -> BatchDeploymentBody:
    """Tag, describe, or change settings."""
    return BatchDeploymentBody.of(deployments.patch(caller, path, endpoint, deployment, body.to_patch()), urls)


@router.delete(DEPLOYMENT, response_class=Response, responses={204: {"description": "It was not there."}})
def delete_batch_deployment(
    caller: RequestCaller, path: RequestedWorkspace, endpoint: str, deployment: str, deployments: Service
) -> Response:
    """Delete a deployment. Jobs stay, and unfinished jobs go on to the end."""
    return Response(status_code=200 if deployments.delete(caller, path, endpoint, deployment) else 204)


@router.post(DEPLOYMENT + "/getLogs")
def get_build_log(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    deployment: str,
    deployments: Service,
    body: BuildLogRequest | None = None,
) -> BuildLogBody:
    """The log of the deployment's builds."""
    requested = body or BuildLogRequest()
    requested.check()
    return BuildLogBody(content=deployments.build_log(caller, path, endpoint, deployment, requested.tail))


def _announced(deployment: BatchDeployment, response: Response, urls: ResourceUrls) -> BatchDeploymentBody:
    if deployment.operation is not None:
        announce(response, deployment.operation, urls)
    return BatchDeploymentBody.of(deployment, urls)
