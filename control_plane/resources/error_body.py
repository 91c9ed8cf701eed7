"""The canonical body of every error."""

from typing import Any

from control_plane.resources.arm_body import ArmBody


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
