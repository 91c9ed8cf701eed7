"""Online deployments, logs, workers and scoring scripts."""

from typing import Annotated

from fastapi import Depends, Request, Response

from control_plane.features.online_deployments.deployment import OnlineDeployment
from control_plane.features.online_deployments.schemas import (
    ContainerType,
    DeploymentBody,
    DeploymentPatchRequest,
    DeploymentRequest,
    LogsBody,
    LogsRequest,
    ScoringScriptBody,
    Sku,
    SkuCapacity,
    SkuResource,
    WorkerBody,
)
from control_plane.features.online_deployments.service import OnlineDeployments
from control_plane.features.online_endpoints.routes import ENDPOINT
from control_plane.resources.paging import ListBody, list_body
from control_plane.resources.urls import ResourceUrls
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.operation_headers import OPERATION_ACCEPTED, OPERATION_HEADERS, accepted, announce
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import RequestedWorkspace
from modelyard.core.domain.deployment import MOST_INSTANCES
from modelyard.core.domain.resource_ids import PROVIDER

_DEPLOYMENTS = ENDPOINT + "/deployments"
_DEPLOYMENT = _DEPLOYMENTS + "/{deployment}"

router = authorized_router("onlineDeployments", COMMON_ERRORS)


def _service(request: Request) -> OnlineDeployments:
    service: OnlineDeployments = request.app.state.services.online_deployments
    return service


Service = Annotated[OnlineDeployments, Depends(_service)]


@router.get(_DEPLOYMENTS, response_model_exclude_none=True)
def list_online_deployments(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    page: RequestedPage,
    next_link: NextLink,
    urls: RequestUrls,
    deployments: Service,
) -> ListBody[DeploymentBody]:
    return list_body(
        deployments.list(caller, path, endpoint, page),
        lambda deployment: DeploymentBody.of(deployment, urls),
        next_link,
    )


@router.get(_DEPLOYMENT, response_model_exclude_none=True)
def get_online_deployment(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    deployment: str,
    urls: RequestUrls,
    deployments: Service,
) -> DeploymentBody:
    return DeploymentBody.of(deployments.get(caller, path, endpoint, deployment), urls)


@router.put(
    _DEPLOYMENT,
    response_model_exclude_none=True,
    responses={
        **CONFLICT_ERRORS,
        200: {"headers": OPERATION_HEADERS},
        201: {"model": DeploymentBody, "description": "Being created.", "headers": OPERATION_HEADERS},
    },
)
def put_online_deployment(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    deployment: str,
    body: DeploymentRequest,
    response: Response,
    urls: RequestUrls,
    deployments: Service,
) -> DeploymentBody:
    """Create or replace a deployment. The body of the running deployment starts no build: its operation has ended."""
    put, is_new = deployments.put(caller, path, endpoint, deployment, body.to_spec())
    response.status_code = 201 if is_new else 200
    return _announced(put, response, urls)


@router.patch(
    _DEPLOYMENT,
    response_model_exclude_none=True,
    responses={
        **CONFLICT_ERRORS,
        200: {"headers": OPERATION_HEADERS},
        202: {"model": DeploymentBody, "description": "Being scaled.", "headers": OPERATION_HEADERS},
    },
)
def patch_online_deployment(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    deployment: str,
    body: DeploymentPatchRequest,
    response: Response,
    urls: RequestUrls,
    deployments: Service,
) -> DeploymentBody:
    """Scale (sku.capacity) or tag."""
    patched = deployments.patch(caller, path, endpoint, deployment, body.to_patch())
    response.status_code = 200 if patched.state.is_final else 202
    return _announced(patched, response, urls)


@router.delete(
    _DEPLOYMENT,
    status_code=202,
    response_class=Response,
    responses={**CONFLICT_ERRORS, 202: OPERATION_ACCEPTED, 204: {"description": "It was not there."}},
)
def delete_online_deployment(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    deployment: str,
    urls: RequestUrls,
    deployments: Service,
) -> Response:
    """Delete a deployment without traffic."""
    deleted = deployments.delete(caller, path, endpoint, deployment)
    if deleted is None or deleted.operation is None:
        return Response(status_code=204)
    return accepted(deleted.operation, urls)


@router.post(_DEPLOYMENT + "/getLogs")
def get_logs(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    deployment: str,
    deployments: Service,
    body: LogsRequest | None = None,
) -> LogsBody:
    requested = body or LogsRequest()
    container = requested.container_type or ContainerType.INFERENCE_SERVER
    return LogsBody(content=deployments.logs(caller, path, endpoint, deployment, container, requested.tail))


@router.get(_DEPLOYMENT + "/skus", response_model_exclude_none=True)
def list_skus(
    caller: RequestCaller, path: RequestedWorkspace, endpoint: str, deployment: str, deployments: Service
) -> ListBody[SkuResource]:
    deployments.get(caller, path, endpoint, deployment)
    sku = SkuResource(
        resource_type=f"{PROVIDER}/workspaces/onlineEndpoints/deployments",
        sku=Sku(name="Default", tier="Standard"),
        capacity=SkuCapacity(default=1, minimum=1, maximum=MOST_INSTANCES),
    )
    return ListBody(value=[sku])


@router.get(_DEPLOYMENT + "/scoringScript")
def get_scoring_script(
    caller: RequestCaller, path: RequestedWorkspace, endpoint: str, deployment: str, deployments: Service
) -> ScoringScriptBody:
    """The generated score.py. An extension of Modelyard."""
    return ScoringScriptBody(content=deployments.scoring_script(caller, path, endpoint, deployment))


@router.get(_DEPLOYMENT + "/workers", response_model_exclude_none=True)
def list_workers(
    caller: RequestCaller, path: RequestedWorkspace, endpoint: str, deployment: str, deployments: Service
) -> ListBody[WorkerBody]:
    """The workers as the host last saw them. An extension of Modelyard."""
    return ListBody(value=[WorkerBody.of(worker) for worker in deployments.workers(caller, path, endpoint, deployment)])


def _announced(deployment: OnlineDeployment, response: Response, urls: ResourceUrls) -> DeploymentBody:
    if deployment.operation is not None:
        announce(response, deployment.operation, urls)
    return DeploymentBody.of(deployment, urls)
