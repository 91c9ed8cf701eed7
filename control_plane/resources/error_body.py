"""The canonical error body, the only one that leaves this process."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from control_plane.resources.arm_body import ArmBody
from modelyard.core.errors import PlatformError


class ErrorDetail(ArmBody):
    code: str
    message: str
    target: str | None = None


class ErrorAdditionalInfo(ArmBody):
    type: str
    info: dict[str, Any]


class Error(ErrorDetail):
    details: list[ErrorDetail] | None = None
    additional_info: list[ErrorAdditionalInfo] | None = None


class ErrorBody(ArmBody):
    error: Error


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
    # ASCII: a message may quote text that has no encoding.
    content = json.dumps({"error": error}).encode()
    return Response(content, status, headers=headers, media_type="application/json")


def refusal(error: PlatformError) -> Response:
    headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None
    return error_response(error.status, error.code, error.message, target=error.target, headers=headers)
