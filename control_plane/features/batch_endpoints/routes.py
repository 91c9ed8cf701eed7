"""Batch endpoints and keys."""

from typing import Annotated

from fastapi import Depends, Request, Response

from control_plane.features.batch_endpoints.schemas import (
    BatchEndpointBody,
    BatchEndpointPatchRequest,
    BatchEndpointRequest,
)
from control_plane.features.batch_endpoints.service import BatchEndpoints
from control_plane.resources.endpoints.schemas import EndpointKeysBody
from control_plane.resources.paging import ListBody, list_body
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.operation_headers import OPERATION_HEADERS, announce
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace

_ENDPOINTS = WORKSPACE + "/batchEndpoints"
ENDPOINT = _ENDPOINTS + "/{endpoint}"

# Twins of the routes of online_endpoints, on purpose: status codes, headers and bodies differ, and the signature of a
# route documents the parameters.
router = authorized_router("batchEndpoints", COMMON_ERRORS)


def _service(request: Request) -> BatchEndpoints:
    service: BatchEndpoints = request.app.state.services.batch_endpoints
    return service


Service = Annotated[BatchEndpoints, Depends(_service)]


@router.get(_ENDPOINTS, response_model_exclude_none=True)
def list_batch_endpoints(
    caller: RequestCaller,
    path: RequestedWorkspace,
    page: RequestedPage,
    next_link: NextLink,
    urls: RequestUrls,
    endpoints: Service,
) -> ListBody[BatchEndpointBody]:
    return list_body(
        endpoints.list(caller, path, page), lambda endpoint: BatchEndpointBody.of(endpoint, urls), next_link
    )


@router.get(ENDPOINT, response_model_exclude_none=True)
def get_batch_endpoint(
    caller: RequestCaller, path: RequestedWorkspace, endpoint: str, urls: RequestUrls, endpoints: Service
) -> BatchEndpointBody:
    return BatchEndpointBody.of(endpoints.get(caller, path, endpoint), urls)


@router.put(
    ENDPOINT,
    response_model_exclude_none=True,
    responses={
        **CONFLICT_ERRORS,
        200: {"headers": OPERATION_HEADERS},
        201: {"model": BatchEndpointBody, "description": "Created.", "headers": OPERATION_HEADERS},
    },
)
def put_batch_endpoint(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    body: BatchEndpointRequest,
    response: Response,
    urls: RequestUrls,
    endpoints: Service,
) -> BatchEndpointBody:
    """Create or replace an endpoint. A missing field goes back to the default, `defaults` included."""
    put, is_new = endpoints.put(caller, path, endpoint, body.to_spec())
    response.status_code = 201 if is_new else 200
    if put.operation is not None:
        announce(response, put.operation, urls)
    return BatchEndpointBody.of(put, urls)


@router.patch(ENDPOINT, response_model_exclude_none=True, responses=CONFLICT_ERRORS)
def patch_batch_endpoint(
    caller: RequestCaller,
    path: RequestedWorkspace,
    endpoint: str,
    body: BatchEndpointPatchRequest,
    urls: RequestUrls,
    endpoints: Service,
) -> BatchEndpointBody:
    """Tag, describe, or name the default deployment."""
    return BatchEndpointBody.of(endpoints.patch(caller, path, endpoint, body.to_patch()), urls)


@router.delete(ENDPOINT, response_class=Response, responses={204: {"description": "It was not there."}})
def delete_batch_endpoint(
    caller: RequestCaller, path: RequestedWorkspace, endpoint: str, endpoints: Service
) -> Response:
    """Delete an endpoint with all deployments. Jobs stay, and unfinished jobs go on to the end."""
    return Response(status_code=200 if endpoints.delete(caller, path, endpoint) else 204)


@router.post(ENDPOINT + "/listKeys")
def list_batch_endpoint_keys(
    caller: RequestCaller, path: RequestedWorkspace, endpoint: str, endpoints: Service
) -> EndpointKeysBody:
    """The keys, each of which opens the scoring URI like the admin token."""
    return EndpointKeysBody.of(endpoints.keys(caller, path, endpoint))
