"""The gateway's own reasons to refuse a request, and the one table of HTTP statuses and headers."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from data_plane.gateway.response import Response
from data_plane.scoring.codecs.mlflow.codec import MlflowCodec
from data_plane.scoring.codecs.port import Headers, RequestCodec
from data_plane.scoring.errors import (
    DeadlineExceeded,
    InvalidRequest,
    ModelFault,
    NoReadyWorker,
    NotFound,
    NoWorkerInTime,
    ScoringError,
    TooManyRequests,
    Unauthenticated,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)

_LONGEST_NAME = 64


class UnknownPath(NotFound):
    def __init__(self) -> None:
        super().__init__("there is nothing at this path; requests are scored at POST /{endpoint}/score")


class UnknownEndpoint(NotFound):
    code = "EndpointNotFound"

    def __init__(self, endpoint: str) -> None:
        super().__init__(f"there is no endpoint {_shortened(endpoint)!r}", target="endpoint")


class UnknownDeployment(NotFound):
    code = "DeploymentNotFound"

    def __init__(self, deployment: str, existing: Sequence[str]) -> None:
        known = ", ".join(sorted(existing)) or "none"
        super().__init__(
            f"azureml-model-deployment names {_shortened(deployment)!r}, but the endpoint's deployments are: {known}",
            target="azureml-model-deployment",
        )


class UnknownModel(NotFound):
    code = "ModelNotFound"

    def __init__(self, name: str, version: str | None) -> None:
        of_version = "" if version is None else f" with version {_shortened(version)!r}"
        super().__init__(
            f"no deployment that receives traffic serves a model {_shortened(name)!r}{of_version}: name the registered "
            "model, the endpoint or a deployment"
        )


class UnknownMlflowVersion(NotFound):
    code = "UnknownMlflowVersion"

    def __init__(self, deployment: str) -> None:
        super().__init__(f"the MLmodel file of deployment {deployment!r} does not say which MLflow logged it")


class NoTraffic(NotFound):
    code = "NoTraffic"

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            f"no deployment of {endpoint!r} receives traffic: set its traffic, "
            "or name a deployment in the header azureml-model-deployment"
        )


class BadCredentials(Unauthenticated):
    def __init__(self) -> None:
        super().__init__("send a valid key or token of this endpoint as 'Authorization: Bearer <key or token>'")


class RoleMissing(Unauthorized):
    def __init__(self, role: str) -> None:
        super().__init__(
            f"the token is valid, but does not have the role {str(role)!r} in the endpoint's workspace: ask an owner "
            "of the workspace for a token with the role"
        )


class MethodNotAllowed(InvalidRequest):
    code = "MethodNotAllowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"this path answers to {allowed}")
        self.allowed = allowed


class UnsupportedCoding(UnsupportedMediaType):
    code = "UnsupportedContentEncoding"

    def __init__(self, coding: str) -> None:
        super().__init__(
            f"the Content-Encoding {_shortened(coding)!r} is not supported: send the body as gzip, as deflate, or "
            "uncompressed"
        )


class BodyTooLarge(InvalidRequest):
    code = "PayloadTooLarge"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than the limit of {limit} bytes: send fewer rows per request")


class InvalidQuery(InvalidRequest):
    pass


class BodiesFull(Unavailable):
    code = "BodiesFull"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the bodies of the requests under way fill the gateway's limit of {limit} bytes: try again shortly, or "
            "raise MODELYARD_GATEWAY_MAX_PENDING_BODY_BYTES"
        )


class GatewayStops(Unavailable):
    code = "GatewayStops"

    def __init__(self) -> None:
        super().__init__("the gateway was told to stop before the model had answered; try again shortly")


class RateLimitExceeded(TooManyRequests):
    code = "RateLimitExceeded"

    def __init__(self, limit: int, window: str, retry_after_seconds: int) -> None:
        super().__init__(
            f"the key has used its limit of {limit} requests per {window}; try again in {retry_after_seconds} s"
        )
        self.retry_after_seconds = retry_after_seconds


class DeploymentBroken(Unavailable):
    code = "DeploymentBroken"

    def __init__(self, deployment: str, reason: str) -> None:
        super().__init__(f"deployment {deployment!r} cannot serve: {reason}")


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…"


# The table. A class without an entry has the status of its base class.

_RETRY_SOON = (b"retry-after", b"1")
_STATUSES: Mapping[type[ScoringError], tuple[int, Headers]] = {
    ScoringError: (HTTPStatus.INTERNAL_SERVER_ERROR, []),
    InvalidRequest: (HTTPStatus.BAD_REQUEST, []),
    UnsupportedMediaType: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, []),
    UnsupportedCoding: (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, [(b"accept-encoding", b"gzip, deflate")]),
    MethodNotAllowed: (HTTPStatus.METHOD_NOT_ALLOWED, []),
    BodyTooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, []),
    NotFound: (HTTPStatus.NOT_FOUND, []),
    Unauthorized: (HTTPStatus.FORBIDDEN, []),
    Unauthenticated: (HTTPStatus.UNAUTHORIZED, [(b"www-authenticate", b"Bearer")]),
    TooManyRequests: (HTTPStatus.TOO_MANY_REQUESTS, [_RETRY_SOON]),
    RateLimitExceeded: (HTTPStatus.TOO_MANY_REQUESTS, []),
    DeadlineExceeded: (HTTPStatus.REQUEST_TIMEOUT, []),
    NoWorkerInTime: (HTTPStatus.REQUEST_TIMEOUT, [_RETRY_SOON]),
    Unavailable: (HTTPStatus.SERVICE_UNAVAILABLE, []),
    NoReadyWorker: (HTTPStatus.SERVICE_UNAVAILABLE, [_RETRY_SOON]),
    BodiesFull: (HTTPStatus.SERVICE_UNAVAILABLE, [_RETRY_SOON]),
    GatewayStops: (HTTPStatus.SERVICE_UNAVAILABLE, [_RETRY_SOON]),
    # As Azure's front end answers for a container that failed.
    ModelFault: (
        HTTPStatus.FAILED_DEPENDENCY,
        [
            (b"ms-azureml-model-error-statuscode", b"500"),
            (b"ms-azureml-model-error-reason", b"model_error"),
            (b"x-ms-run-function-failed", b"True"),
        ],
    ),
}
# MLflow's own server answers 504 at a deadline, and takes an exception of the model for the caller's fault.
_MLFLOW_STATUSES: Mapping[type[ScoringError], int] = {
    DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    ModelFault: HTTPStatus.BAD_REQUEST,
}


def error_document(code: str, message: str) -> bytes:
    """The body of an error that ends a connection: no route, and so no protocol, is known."""
    return json.dumps({"error": {"code": code, "message": message, "details": []}, "message": message}).encode()


def error_response(error: ScoringError, codec: RequestCodec[Any]) -> Response:
    bases = type(error).__mro__
    status, headers = next(_STATUSES[base] for base in bases if base in _STATUSES)
    if isinstance(codec, MlflowCodec):
        status = next((_MLFLOW_STATUSES[base] for base in bases if base in _MLFLOW_STATUSES), status)
    encoded = codec.encode_error(error)
    return Response(status, encoded.body, [*encoded.headers, *headers, *_own_headers(error)])


def _own_headers(error: ScoringError) -> Headers:
    match error:
        case MethodNotAllowed():
            return [(b"allow", error.allowed.encode())]
        case RateLimitExceeded():
            return [(b"retry-after", b"%d" % error.retry_after_seconds)]
        case _:
            return []
