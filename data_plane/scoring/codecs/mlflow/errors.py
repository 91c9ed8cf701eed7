"""MLflow's error bodies: `error_code`, `message`, `sqlstate` and `error_class`, and `details` where there are any."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from data_plane.scoring.codecs.port import Encoded, encoded_json
from data_plane.scoring.errors import (
    DeadlineExceeded,
    InputRefused,
    InvalidRequest,
    ModelFault,
    NotFound,
    ScoringError,
    TooManyRequests,
    Unauthenticated,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from data_plane.scoring.signature import SignatureViolations

_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class _MlflowError(NamedTuple):
    error_code: str
    sqlstate: str = "KAM00"
    error_class: str = "INVALID_PARAMETER_VALUE"


# A class without an entry has the code of its base class. MLflow has no code for another method or a large body.
_ERRORS: Mapping[type[ScoringError], _MlflowError] = {
    ScoringError: _MlflowError("INTERNAL_ERROR", "XXM00", "CLIENT_INTERNAL_ERROR"),
    InvalidRequest: _MlflowError("BAD_REQUEST"),
    InputRefused: _MlflowError("INVALID_PARAMETER_VALUE"),
    SignatureViolations: _MlflowError("INVALID_PARAMETER_VALUE", "KAM01", "SCHEMA_ENFORCEMENT_FAILED"),
    Unauthenticated: _MlflowError("UNAUTHENTICATED", error_class="PERMISSION_DENIED"),
    Unauthorized: _MlflowError("PERMISSION_DENIED", error_class="PERMISSION_DENIED"),
    NotFound: _MlflowError("RESOURCE_DOES_NOT_EXIST", error_class="RESOURCE_NOT_FOUND"),
    DeadlineExceeded: _MlflowError("DEADLINE_EXCEEDED", "XXM00", "CLIENT_INTERNAL_ERROR"),
    # MLflow takes an exception of the model for the caller's fault.
    ModelFault: _MlflowError("BAD_REQUEST", "KAM02", "PREDICTION_FUNCTION_FAILED"),
    TooManyRequests: _MlflowError("RESOURCE_EXHAUSTED"),
    Unavailable: _MlflowError("TEMPORARILY_UNAVAILABLE", "XXM00", "CLIENT_INTERNAL_ERROR"),
}


def error_body(error: ScoringError) -> Encoded:
    if isinstance(error, UnsupportedMediaType):
        return Encoded(error.message.encode(), [_TEXT])
    described = next(_ERRORS[base] for base in type(error).__mro__ if base in _ERRORS)
    document: dict[str, Any] = {
        "error_code": described.error_code,
        "message": _message(error),
        "sqlstate": described.sqlstate,
        "error_class": described.error_class,
    }
    if error.details:
        document["details"] = error.details
    return encoded_json(orjson.dumps(document))


def _message(error: ScoringError) -> str:
    """MLflow's clients show the message alone, so the message names every violation."""
    if not isinstance(error, SignatureViolations):
        return error.message
    return f"Failed to enforce schema of the model's input. Violations: {error.listing}"
