"""Online endpoints and credentials."""

from typing import Annotated

from fastapi import Depends, Request, Response

from control_plane.features.online_endpoints.endpoint import OnlineEndpoint
from control_plane.features.online_endpoints.schemas import (
    EndpointBody,
    EndpointPatchRequest,
    EndpointRequest,
    RegenerateKeysRequest,
    TokenBody,
)
from control_plane.features.online_endpoints.service import OnlineEndpoints
from control_plane.resources.endpoints.schemas import EndpointKeysBody
from control_plane.resources.paging import ListBody, list_body
from control_plane.resources.urls import ResourceUrls
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.operation_headers import OPERATION_ACCEPTED, OPERATION_HEADERS, accepted, announce
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace

_ENDPOINTS = WORKSPACE + "/onlineEndpoints"
ENDPOINT = _ENDPOINTS + "/{endpoint}"

router = authorized_router("onlineEndpoints", COMMON_ERRORS)


def _service(request: Request) -> OnlineEndpoints:
    service: OnlineEndpoints = request.app.state.services.online_endpoints
    return service


Service = Annotated[OnlineEndpoints, Depends(_service)]


@router.get(_ENDPOINTS, response_model_exclude_none=True)
def list_online_endpoints(
    caller: RequestCaller,
    path: RequestedWorkspace,
    page: RequestedPage,
    next_link: NextLink,
    urls: RequestUrls,
    endpoints: Service,
) -> ListBody[EndpointBody]:
    return list_body(endpoints.list(caller, path, page), lambda endpoint: EndpointBody.of(endpoint, urls), next_link)


@router.get(ENDPOINT, response_model_exclude_none=True)
def get_online_endpoint(
    caller: RequestCaller, path: RequestedWorkspace, endpoint: str, urls: RequestUrls, endpoints: Service
) -> EndpointBody:
    return EndpointBody.of(endpoints.get(caller, path, endpoint), urls)


@router.put(
    ENDPOINT,
    response_model_exclude_none=True,
    responses={
        **CONFLICT_ERRORS,
        200: {"headers": OPERATION_HEADERS},
        201: {"model": EndpointBody, "description": "Being created.", "headers": OPERATION_HEADERS},
    },
)
def put_online_endpoint(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    body: EndpointRequest,
    response: Response,
    urls: RequestUrls,
    endpoints: Service,
) -> EndpointBody:
    """Create or replace an endpoint. A missing field goes back to the default, traffic included."""
    put, is_new = endpoints.put(caller, path, endpoint, body.to_spec())
    response.status_code = 201 if is_new else 200
    return _announced(put, response, urls)


@router.patch(
    ENDPOINT,
    status_code=202,
    response_model_exclude_none=True,
    responses={**CONFLICT_ERRORS, 202: {"headers": OPERATION_HEADERS}},
)
def patch_online_endpoint(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    body: EndpointPatchRequest,
    response: Response,
    urls: RequestUrls,
    endpoints: Service,
) -> EndpointBody:
    return _announced(endpoints.patch(caller, path, endpoint, body.to_patch()), response, urls)


@router.delete(
    ENDPOINT,
    status_code=202,
    response_class=Response,
    responses={202: OPERATION_ACCEPTED, 204: {"description": "It was not there."}},
)
def delete_online_endpoint(
    caller: RequestCaller, path: RequestedWorkspace, endpoint: str, urls: RequestUrls, endpoints: Service
) -> Response:
    """Delete an endpoint with all deployments."""
    deleted = endpoints.delete(caller, path, endpoint)
    if deleted is None or deleted.operation is None:
        return Response(status_code=204)
    return accepted(deleted.operation, urls)


@router.post(ENDPOINT + "/listKeys")
def list_keys(caller: RequestCaller, path: RequestedWorkspace, endpoint: str, endpoints: Service) -> EndpointKeysBody:
    return EndpointKeysBody.of(endpoints.keys(caller, path, endpoint))


@router.post(
    ENDPOINT + "/regenerateKeys",
    status_code=202,
    response_class=Response,
    responses={**CONFLICT_ERRORS, 202: OPERATION_ACCEPTED},
)
def regenerate_keys(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    body: RegenerateKeysRequest,
    urls: RequestUrls,
    endpoints: Service,
) -> Response:
    """Replace a key by keyValue, or by a random key when keyValue is missing or is the current key."""
    changed = endpoints.regenerate_key(caller, path, endpoint, body.key_type, body.key_value)
    return accepted(changed.operation, urls) if changed.operation else Response(status_code=200)


@router.post(ENDPOINT + "/token")
def get_token(caller: RequestCaller, path: RequestedWorkspace, endpoint: str, endpoints: Service) -> TokenBody:
    """A scoring token, for endpoints whose authMode is not Key."""
    return TokenBody.of(endpoints.token(caller, path, endpoint))


def _announced(endpoint: OnlineEndpoint, response: Response, urls: ResourceUrls) -> EndpointBody:
    if endpoint.operation is not None:
        announce(response, endpoint.operation, urls)
    return EndpointBody.of(endpoint, urls)
