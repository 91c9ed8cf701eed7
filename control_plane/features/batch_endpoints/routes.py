"""Batch endpoints and their keys."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from control_plane.features.batch_endpoints.schemas import (
    BatchEndpointBody,
    BatchEndpointPatchRequest,
    BatchEndpointRequest,
)
from control_plane.features.batch_endpoints.service import BatchEndpoints
from control_plane.features.workspaces.routes import WORKSPACE, AskedWorkspace
from control_plane.resources.endpoints.schemas import EndpointKeysBody
from control_plane.resources.paging import ListBody, NextLink, RequestPage
from control_plane.resources.urls import RequestLinks
from control_plane.web.openapi_responses import CONFLICTS, USUAL_REFUSALS

_ENDPOINTS = WORKSPACE + "/batchEndpoints"
ENDPOINT = _ENDPOINTS + "/{endpoint}"

router = APIRouter(tags=["batchEndpoints"], responses=USUAL_REFUSALS)


def _service(request: Request) -> BatchEndpoints:
    service: BatchEndpoints = request.app.state.services.batch_endpoints
    return service


Service = Annotated[BatchEndpoints, Depends(_service)]


@router.get(_ENDPOINTS, response_model_exclude_none=True)
def list_batch_endpoints(
    path: AskedWorkspace, page: RequestPage, next_link: NextLink, links: RequestLinks, endpoints: Service
) -> ListBody[BatchEndpointBody]:
    found = endpoints.list(path, page)
    bodies = [BatchEndpointBody.of(endpoint, links) for endpoint in found.items]
    return ListBody(value=bodies, next_link=next_link if found.has_more else None)


@router.get(ENDPOINT, response_model_exclude_none=True)
def get_batch_endpoint(
    path: AskedWorkspace, endpoint: str, links: RequestLinks, endpoints: Service
) -> BatchEndpointBody:
    return BatchEndpointBody.of(endpoints.get(path, endpoint), links)


@router.put(
    ENDPOINT,
    response_model_exclude_none=True,
    responses={**CONFLICTS, 201: {"model": BatchEndpointBody, "description": "Created."}},
)
def put_batch_endpoint(
    path: AskedWorkspace,
    endpoint: str,
    body: BatchEndpointRequest,
    response: Response,
    links: RequestLinks,
    endpoints: Service,
) -> BatchEndpointBody:
    """Create or replace an endpoint: what the body does not say goes back to its default, `defaults` included."""
    put, is_new = endpoints.put(path, endpoint, body.wish())
    response.status_code = 201 if is_new else 200
    return BatchEndpointBody.of(put, links)


@router.patch(ENDPOINT, response_model_exclude_none=True, responses=CONFLICTS)
def patch_batch_endpoint(
    path: AskedWorkspace, endpoint: str, body: BatchEndpointPatchRequest, links: RequestLinks, endpoints: Service
) -> BatchEndpointBody:
    """Tag, describe, or name the default deployment."""
    return BatchEndpointBody.of(endpoints.patch(path, endpoint, body.patch()), links)


@router.delete(ENDPOINT, response_class=Response, responses={204: {"description": "It was not there."}})
def delete_batch_endpoint(path: AskedWorkspace, endpoint: str, endpoints: Service) -> Response:
    """Delete an endpoint with all its deployments. Its jobs stay, and those under way go on to their end."""
    return Response(status_code=200 if endpoints.delete(path, endpoint) else 204)


@router.post(ENDPOINT + "/listKeys")
def list_batch_endpoint_keys(path: AskedWorkspace, endpoint: str, endpoints: Service) -> EndpointKeysBody:
    """Each of them opens the scoring URI, like the admin token."""
    return EndpointKeysBody.of(endpoints.keys(path, endpoint))
