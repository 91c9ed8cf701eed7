"""GET, PUT and DELETE of workspaces."""

from typing import Annotated

from fastapi import Depends, Request, Response

from control_plane.features.workspaces.schemas import WorkspaceBody, WorkspaceKeysBody, WorkspaceRequest
from control_plane.features.workspaces.service import Workspaces
from control_plane.resources.paging import ListBody, list_body
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, WORKSPACES, RequestedWorkspace
from modelyard.core.domain.resource_ids import PROVIDER

_DEFAULT_LOCATION = "local"
_OF_SUBSCRIPTION = f"/subscriptions/{{subscription}}/providers/{PROVIDER}/workspaces"

router = authorized_router("workspaces", COMMON_ERRORS)


def _service(request: Request) -> Workspaces:
    service: Workspaces = request.app.state.services.workspaces
    return service


Service = Annotated[Workspaces, Depends(_service)]


@router.get(WORKSPACES, response_model_exclude_none=True)
def list_workspaces(
    caller: RequestCaller,
    subscription: str,
    resource_group: str,
    page: RequestedPage,
    next_link: NextLink,
    urls: RequestUrls,
    workspaces: Service,
) -> ListBody[WorkspaceBody]:
    found = workspaces.list(caller, subscription, resource_group, page)
    return list_body(found, lambda workspace: WorkspaceBody.of(workspace, urls), next_link)


@router.get(_OF_SUBSCRIPTION, response_model_exclude_none=True)
def list_workspaces_of_subscription(
    caller: RequestCaller,
    subscription: str,
    page: RequestedPage,
    next_link: NextLink,
    urls: RequestUrls,
    workspaces: Service,
) -> ListBody[WorkspaceBody]:
    found = workspaces.list(caller, subscription, None, page)
    return list_body(found, lambda workspace: WorkspaceBody.of(workspace, urls), next_link)


@router.get(WORKSPACE, response_model_exclude_none=True)
def get_workspace(
    caller: RequestCaller, path: RequestedWorkspace, urls: RequestUrls, workspaces: Service
) -> WorkspaceBody:
    return WorkspaceBody.of(workspaces.get(caller, path), urls)


@router.put(
    WORKSPACE, response_model_exclude_none=True, responses={201: {"model": WorkspaceBody, "description": "Created."}}
)
def put_workspace(
    caller: RequestCaller,
    path: RequestedWorkspace,
    body: WorkspaceRequest,
    response: Response,
    urls: RequestUrls,
    workspaces: Service,
) -> WorkspaceBody:
    workspace, is_new = workspaces.put(caller, path, body.location or _DEFAULT_LOCATION)
    response.status_code = 201 if is_new else 200
    return WorkspaceBody.of(workspace, urls)


@router.delete(
    WORKSPACE, response_class=Response, responses={**CONFLICT_ERRORS, 204: {"description": "It was not there."}}
)
def delete_workspace(caller: RequestCaller, path: RequestedWorkspace, workspaces: Service) -> Response:
    """Delete a workspace without endpoints, registered assets and unfinished jobs. Other contents go with it."""
    return Response(status_code=200 if workspaces.delete(caller, path) else 204)


@router.post(WORKSPACE + "/listKeys")
def list_workspace_keys(caller: RequestCaller, path: RequestedWorkspace, workspaces: Service) -> WorkspaceKeysBody:
    """The keys of the services beside a workspace: none, because the platform needs no such services."""
    workspaces.get(caller, path)
    return WorkspaceKeysBody()
