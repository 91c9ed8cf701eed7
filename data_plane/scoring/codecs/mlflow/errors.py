"""MLflow's error bodies: `error_code` and `message`, and the status that MLflow maps the code to."""

from http import HTTPStatus
from typing import Any, NamedTuple

import orjson

from data_plane.gateway.messages import Response, json_response
from data_plane.scoring.errors import InputRefused, ScoringError

_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class MlflowError(NamedTuple):
    status: int
    error_code: str
    sqlstate: str = "KAM00"
    error_class: str = "INVALID_PARAMETER_VALUE"


_INTERNAL = MlflowError(500, "INTERNAL_ERROR", "XXM00", "CLIENT_INTERNAL_ERROR")
_BAD_REQUEST = MlflowError(400, "BAD_REQUEST")
_SCHEMA = MlflowError(400, "INVALID_PARAMETER_VALUE", "KAM01", "SCHEMA_ENFORCEMENT_FAILED")

# By our own status. MLflow has no code for 405 and 413.
_ERRORS = {
    HTTPStatus.BAD_REQUEST: _BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED: MlflowError(401, "UNAUTHENTICATED", error_class="PERMISSION_DENIED"),
    HTTPStatus.NOT_FOUND: MlflowError(404, "RESOURCE_DOES_NOT_EXIST", error_class="RESOURCE_NOT_FOUND"),
    HTTPStatus.METHOD_NOT_ALLOWED: _BAD_REQUEST._replace(status=405),
    HTTPStatus.REQUEST_TIMEOUT: MlflowError(504, "DEADLINE_EXCEEDED", "XXM00", "CLIENT_INTERNAL_ERROR"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _BAD_REQUEST._replace(status=413),
    # The model raised, which MLflow takes for the caller's fault.
    HTTPStatus.FAILED_DEPENDENCY: MlflowError(400, "BAD_REQUEST", "KAM02", "PREDICTION_FUNCTION_FAILED"),
    HTTPStatus.TOO_MANY_REQUESTS: MlflowError(429, "RESOURCE_EXHAUSTED"),
    HTTPStatus.SERVICE_UNAVAILABLE: MlflowError(503, "TEMPORARILY_UNAVAILABLE", "XXM00", "CLIENT_INTERNAL_ERROR"),
}


def error_response(refusal: ScoringError) -> Response:
    if refusal.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        return Response(415, refusal.message.encode(), [_TEXT, *refusal.headers])
    error = _SCHEMA if isinstance(refusal, InputRefused) else _ERRORS.get(refusal.status, _INTERNAL)
    document: dict[str, Any] = {
        "error_code": error.error_code,
        "message": _message(refusal),
        "sqlstate": error.sqlstate,
        "error_class": error.error_class,
    }
    if refusal.details:
        document["details"] = refusal.details
    return json_response(orjson.dumps(document), refusal.headers, error.status)


def _message(refusal: ScoringError) -> str:
    """MLflow's clients show the message alone, so that it must name every violation."""
    if not isinstance(refusal, InputRefused):
        return refusal.message
    listed = "; ".join(each["message"] for each in refusal.details)
    return f"Failed to enforce schema of the model's input. Violations: {listed}"
