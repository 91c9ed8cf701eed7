"""Errors as HTTP responses with the canonical body."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from modelyard.core.errors import InvalidRequest, PlatformError, TooManyFailures, TooManyRequests, TooManyUploads

_HEADERS = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": "Bearer"},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "2"},
}


def error_response(
    status: int,
    code: str,
    message: str,
    *,
    target: str | None = None,
    details: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    error: dict[str, Any] = {"code": code, "message": message}
    if target is not None:
        error["target"] = target
    if details:
        error["details"] = list(details)
    # ASCII: a message may quote text without an encoding, for example a lone surrogate.
    content = json.dumps({"error": error}).encode()
    return Response(content, status, headers=headers, media_type="application/json")


def error_document(code: str, message: str) -> bytes:
    """The canonical body of an error without a request."""
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def platform_error_response(error: PlatformError) -> Response:
    headers = dict(_HEADERS.get(error.status, {}))
    if isinstance(error, TooManyFailures | TooManyRequests | TooManyUploads):
        headers["Retry-After"] = str(error.retry_after_seconds)
    parts = error.parts if isinstance(error, InvalidRequest) and len(error.parts) > 1 else ()
    details = [{"code": part.code, "message": part.message, "target": part.target} for part in parts]
    return error_response(
        error.status, error.code, error.message, target=error.target, details=details, headers=headers
    )
