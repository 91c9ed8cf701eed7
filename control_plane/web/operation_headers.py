"""The headers with the URL of a long-running operation."""

from typing import Any

from fastapi import Response

from control_plane.resources.operations.operation import Operation
from control_plane.resources.urls import ResourceUrls

# Whole seconds: clients take a missing or zero pause for "half a minute".
_PAUSE = "1"


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


OPERATION_HEADERS = {
    "Azure-AsyncOperation": _header("URL to poll, when an operation was started."),
    "Retry-After": _header("Seconds to wait between polls."),
}
OPERATION_ACCEPTED: dict[str, Any] = {
    "description": "Accepted; the operation runs in the background.",
    "headers": {**OPERATION_HEADERS, "Location": _header("Responds 202 until the operation has ended.")},
}


def announce(response: Response, operation: Operation, urls: ResourceUrls) -> None:
    where = (operation.subscription, operation.location, operation.id)
    response.headers["Azure-AsyncOperation"] = urls.operation(*where)
    response.headers["Retry-After"] = _PAUSE
    response.headers["x-ms-async-operation-timeout"] = "PT1H"


def accepted(operation: Operation, urls: ResourceUrls) -> Response:
    """The response to a DELETE or POST that has started an operation."""
    response = Response(status_code=202)
    announce(response, operation, urls)
    where = (operation.subscription, operation.location, operation.id)
    response.headers["Location"] = urls.operation_result(*where)
    return response
