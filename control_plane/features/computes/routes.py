"""Computes, recorded and returned as sent."""

from typing import Annotated

from fastapi import Depends, Request, Response

from control_plane.features.computes.machine import this_machine
from control_plane.features.computes.schemas import (
    ComputeBody,
    ComputeNodesBody,
    ComputeRequest,
    VmSizeBody,
)
from control_plane.features.computes.service import Computes
from control_plane.resources.arm_body import Document
from control_plane.resources.paging import ListBody, list_body
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.operation_headers import OPERATION_HEADERS, announce
from control_plane.web.paging import NextLink, RequestedPage
from control_plane.web.urls import RequestUrls
from control_plane.web.workspace_path import WORKSPACE, RequestedWorkspace
from modelyard.core.domain.resource_ids import PROVIDER

_COMPUTES = WORKSPACE + "/computes"
_COMPUTE = _COMPUTES + "/{name}"
_LOCATION = f"/subscriptions/{{subscription}}/providers/{PROVIDER}/locations/{{location}}"

router = authorized_router("computes", COMMON_ERRORS)


def _service(request: Request) -> Computes:
    service: Computes = request.app.state.services.computes
    return service


Service = Annotated[Computes, Depends(_service)]


@router.get(_COMPUTES, response_model_exclude_none=True)
def list_computes(
    caller: RequestCaller, path: RequestedWorkspace, page: RequestedPage, next_link: NextLink, computes: Service
) -> ListBody[ComputeBody]:
    return list_body(computes.list(caller, path, page), ComputeBody.of, next_link)


@router.get(_COMPUTE, response_model_exclude_none=True)
def get_compute(caller: RequestCaller, path: RequestedWorkspace, name: str, computes: Service) -> ComputeBody:
    """The compute `local` exists in every workspace."""
    return ComputeBody.of(computes.get(caller, path, name))


@router.put(
    _COMPUTE,
    response_model_exclude_none=True,
    responses={
        200: {"headers": OPERATION_HEADERS},
        201: {"model": ComputeBody, "description": "Recorded.", "headers": OPERATION_HEADERS},
    },
)
def put_compute(
    caller: RequestCaller,
    path: RequestedWorkspace,
    name: str,
    body: ComputeRequest,
    response: Response,
    urls: RequestUrls,
    computes: Service,
) -> ComputeBody:
    """Record a compute. The platform's workers do the work of every compute."""
    compute, operation, is_new = computes.put(caller, path, name, body.location, body.body())
    response.status_code = 201 if is_new else 200
    announce(response, operation, urls)
    return ComputeBody.of(compute)


@router.delete(
    _COMPUTE, response_class=Response, responses={**CONFLICT_ERRORS, 204: {"description": "It was not there."}}
)
def delete_compute(caller: RequestCaller, path: RequestedWorkspace, name: str, computes: Service) -> Response:
    return Response(status_code=200 if computes.delete(caller, path, name) else 204)


@router.post(_COMPUTE + "/listNodes", response_model_exclude_none=True)
def list_compute_nodes(
    caller: RequestCaller, path: RequestedWorkspace, name: str, computes: Service
) -> ComputeNodesBody:
    """The nodes of a compute: none."""
    computes.get(caller, path, name)
    return ComputeNodesBody()


@router.get(_LOCATION + "/vmSizes", response_model_exclude_none=True)
def list_vm_sizes(caller: RequestCaller, subscription: str, location: str) -> ListBody[VmSizeBody]:
    """The size of the machine on which the control plane runs, in every location."""
    return ListBody(value=[VmSizeBody.of(this_machine())])


@router.get(_LOCATION + "/usages", response_model_exclude_none=True)
def list_usages(caller: RequestCaller, subscription: str, location: str) -> ListBody[Document]:
    """The quotas of a location: none, because the platform has no quotas."""
    return ListBody(value=[])
