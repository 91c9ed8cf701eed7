"""The error responses of routes, for the OpenAPI document.

As text with a reference to the schema: for each response with a model FastAPI makes a validator at import, 750 in all.
"""

from http import HTTPStatus
from typing import Any

from fastapi.encoders import jsonable_encoder

from control_plane.resources.error_body import ErrorBody

Responses = dict[int | str, dict[str, Any]]

_REASONS = {
    HTTPStatus.BAD_REQUEST: "The request is not valid, or asks for something unsupported.",
    HTTPStatus.UNAUTHORIZED: "The token is missing, wrong, expired or revoked.",
    HTTPStatus.FORBIDDEN: "The caller lacks the role (x-required-role), or the signature of the URL is not valid.",
    HTTPStatus.NOT_FOUND: "There is nothing at this path.",
    HTTPStatus.CONFLICT: "The resource is changing, or does not allow this change.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is over the size limit.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests with a wrong token came from the same address.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A fault of the platform; the log of the control plane has the details.",
    HTTPStatus.SERVICE_UNAVAILABLE: "A server that the platform depends on does not answer.",
}


_REFERENCES = "#/components/schemas/{model}"
_CONTENT = {"application/json": {"schema": {"$ref": _REFERENCES.format(model=ErrorBody.__name__)}}}


def error_responses(*statuses: HTTPStatus) -> Responses:
    return {int(status): {"content": _CONTENT, "description": _REASONS[status]} for status in statuses}


def error_schemas() -> dict[str, Any]:
    """The schemas of the error body, by name."""
    schema = ErrorBody.model_json_schema(by_alias=True, ref_template=_REFERENCES, mode="serialization")
    # As in FastAPI's own schemas, without the default of an optional field.
    schemas: dict[str, Any] = jsonable_encoder({**schema.pop("$defs"), ErrorBody.__name__: schema}, exclude_none=True)
    return schemas


COMMON_ERRORS = error_responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
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
