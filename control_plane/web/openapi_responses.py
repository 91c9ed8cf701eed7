"""How routes describe their refusals, for the OpenAPI document."""

from http import HTTPStatus
from typing import Any

from control_plane.resources.error_body import ErrorBody

Responses = dict[int | str, dict[str, Any]]

_REASONS = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read, or asks for something that cannot be.",
    HTTPStatus.UNAUTHORIZED: "No admin token, or a wrong one.",
    HTTPStatus.FORBIDDEN: "A signed URL that is not ours, was changed, or has run out.",
    HTTPStatus.NOT_FOUND: "The path names nothing.",
    HTTPStatus.CONFLICT: "The resource is changing, or may not be changed like this.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is over the limit.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of the platform; its log has the details.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A server that the platform needs does not answer.",
}


def error_responses(*statuses: HTTPStatus) -> Responses:
    return {int(status): {"model": ErrorBody, "description": _REASONS[status]} for status in statuses}


COMMON_ERRORS = error_responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
CONFLICT_ERRORS = error_responses(HTTPStatus.CONFLICT)
SIGNED_URL_ERRORS = error_responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
PUBLIC_ERRORS = error_responses(HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
