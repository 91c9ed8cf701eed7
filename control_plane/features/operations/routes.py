"""Polling of long-running operations."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response

from control_plane.features.operations.schemas import OperationBody
from control_plane.features.operations.service import Operations
from control_plane.web.authorization import authorized_router
from control_plane.web.caller import RequestCaller
from control_plane.web.openapi_responses import COMMON_ERRORS, CONFLICT_ERRORS
from control_plane.web.operation_headers import OPERATION_ACCEPTED, accepted
from control_plane.web.urls import RequestUrls
from modelyard.core.domain.lifecycle import OperationStatus
from modelyard.core.domain.resource_ids import PROVIDER
from modelyard.core.errors import Conflict

_LOCATION = f"/subscriptions/{{subscription}}/providers/{PROVIDER}/locations/{{location}}"

router = authorized_router("operations", COMMON_ERRORS)


def _service(request: Request) -> Operations:
    service: Operations = request.app.state.services.operations
    return service


Service = Annotated[Operations, Depends(_service)]


@router.get(_LOCATION + "/mfeOperationsStatus/{operation_id}", response_model_exclude_none=True)
def get_operation(
    caller: RequestCaller, subscription: str, location: str, operation_id: UUID, response: Response, operations: Service
) -> OperationBody:
    """200 for every status; the body of a failed operation has the error."""
    response.headers["Retry-After"] = "1"
    return OperationBody.of(operations.get(caller, subscription, location, operation_id))


@router.get(
    _LOCATION + "/mfeOperationResults/{operation_id}",
    status_code=204,
    response_class=Response,
    responses={**CONFLICT_ERRORS, 202: OPERATION_ACCEPTED, 204: {"description": "The operation has succeeded."}},
)
def get_operation_result(
    caller: RequestCaller, subscription: str, location: str, operation_id: UUID, urls: RequestUrls, operations: Service
) -> Response:
    operation = operations.get(caller, subscription, location, operation_id)
    if operation.status == OperationStatus.IN_PROGRESS:
        return accepted(operation, urls)
    if operation.error:
        raise Conflict(str(operation.error["message"]))
    return Response(status_code=204)
