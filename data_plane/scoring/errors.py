"""Why the gateway does not answer with a prediction: one exception per reason, with its status and headers.

ScoringError
├── UnknownPath             404  no such route
├── UnknownEndpoint         404
├── UnknownDeployment       404  `azureml-model-deployment` names none of the endpoint's
├── UnknownModel            404  no deployment serves a model of that name and version
├── UnknownMlflowVersion    404  the MLmodel file does not say what logged it
├── NoTraffic               404  no deployment has a positive weight
├── BadCredentials          401
├── MethodNotAllowed        405
├── UnsupportedMediaType    415
├── UnsupportedCoding       415  the body is packed in a way we do not know
├── BodyTooLarge            413
├── BodyTooSlow             408
├── InvalidBody             400  no JSON object with `input_data`
├── InvalidQuery            400  what follows the `?` of the path
├── InputRefused            400  the signature's violations
├── TooManyRequests         429
├── DeadlinePassed          408
├── NoWorkerInTime          408  all stayed busy until the deadline
├── NoReadyWorker           503
├── GatewayStops            503  and the model did not answer in the time that was left
├── DeploymentBroken        503  its bundle cannot be read
├── ModelFailed             424  the user's code raised
├── WorkerDied              424  the user's code took the worker with it, twice
└── WorkerProtocolError          500  the worker did not understand us, or we not it
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from data_plane.scoring.signature import SignatureViolations
from modelyard.core.errors import PlatformError

Headers = list[tuple[bytes, bytes]]

_RETRY_SOON = (b"retry-after", b"1")


class ScoringError(PlatformError):
    """A refusal as the caller sees it."""

    def __init__(self, message: str, *, target: str | None = None) -> None:
        super().__init__(message, target=target)
        self.headers: Headers = []
        self.details: list[dict[str, Any]] = []


class UnknownPath(ScoringError):
    status = HTTPStatus.NOT_FOUND
    code = "NotFound"

    def __init__(self) -> None:
        super().__init__("there is nothing at this path; requests are scored at POST /{endpoint}/score")


class UnknownEndpoint(ScoringError):
    status = HTTPStatus.NOT_FOUND
    code = "EndpointNotFound"

    def __init__(self, endpoint: str) -> None:
        super().__init__(f"there is no endpoint {_shortened(endpoint)!r}", target="endpoint")


class UnknownDeployment(ScoringError):
    status = HTTPStatus.NOT_FOUND
    code = "DeploymentNotFound"

    def __init__(self, deployment: str, existing: Sequence[str]) -> None:
        known = ", ".join(sorted(existing)) or "none"
        super().__init__(
            f"azureml-model-deployment names {_shortened(deployment)!r}, but the endpoint's deployments are: {known}",
            target="azureml-model-deployment",
        )


class UnknownModel(ScoringError):
    status = HTTPStatus.NOT_FOUND
    code = "ModelNotFound"

    def __init__(self, name: str, version: str | None) -> None:
        of_version = "" if version is None else f" with version {_shortened(version)!r}"
        super().__init__(
            f"no deployment that receives traffic serves a model {_shortened(name)!r}{of_version}: name the registered "
            "model, the endpoint or a deployment"
        )


class UnknownMlflowVersion(ScoringError):
    status = HTTPStatus.NOT_FOUND
    code = "UnknownMlflowVersion"

    def __init__(self, deployment: str) -> None:
        super().__init__(f"the MLmodel file of deployment {deployment!r} does not say which MLflow logged it")


class NoTraffic(ScoringError):
    status = HTTPStatus.NOT_FOUND
    code = "NoTraffic"

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            f"no deployment of {endpoint!r} receives traffic: set its traffic, "
            "or name a deployment in the header azureml-model-deployment"
        )


class BadCredentials(ScoringError):
    status = HTTPStatus.UNAUTHORIZED
    code = "Unauthorized"

    def __init__(self) -> None:
        super().__init__("send a valid key or token of this endpoint as 'Authorization: Bearer <key or token>'")
        self.headers = [(b"www-authenticate", b"Bearer")]


class MethodNotAllowed(ScoringError):
    status = HTTPStatus.METHOD_NOT_ALLOWED
    code = "MethodNotAllowed"

    def __init__(self, allowed: str) -> None:
        super().__init__(f"this path answers to {allowed}")
        self.headers = [(b"allow", allowed.encode())]


class UnsupportedMediaType(ScoringError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "UnsupportedMediaType"


class UnsupportedCoding(ScoringError):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "UnsupportedContentEncoding"

    def __init__(self, coding: str) -> None:
        super().__init__(
            f"the Content-Encoding {_shortened(coding)!r} is not known here: send the body as gzip, as deflate, or as "
            "it is"
        )
        self.headers = [(b"accept-encoding", b"gzip, deflate")]


class BodyTooLarge(ScoringError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "PayloadTooLarge"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than the limit of {limit} bytes: send fewer rows per request")


class InvalidBody(ScoringError):
    status = HTTPStatus.BAD_REQUEST
    code = "BadArgument"


class InvalidQuery(ScoringError):
    status = HTTPStatus.BAD_REQUEST
    code = "BadArgument"


class InputRefused(ScoringError):
    status = HTTPStatus.BAD_REQUEST
    code = "SignatureViolation"

    def __init__(self, refused: SignatureViolations) -> None:
        count = len(refused.violations) + refused.more
        many = f"{count} violations" if count > 1 else "a violation"
        listed = f"the first {len(refused.violations)} are listed" if refused.more else "see details"
        first = refused.violations[0].message
        super().__init__(f"the input does not fit the model's signature, {many} ({listed}): {first}")
        self.details = [
            {"code": self.code, "message": violation.message, "target": violation.column or "input_data"}
            for violation in refused.violations
        ]


class TooManyRequests(ScoringError):
    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "TooManyRequests"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers = [_RETRY_SOON]


class DeadlinePassed(ScoringError):
    status = HTTPStatus.REQUEST_TIMEOUT
    code = "RequestTimeout"

    def __init__(self) -> None:
        super().__init__(
            "the model did not answer within the deployment's request timeout: "
            "send fewer rows, or raise request_timeout_ms"
        )


class NoWorkerInTime(ScoringError):
    status = HTTPStatus.REQUEST_TIMEOUT
    code = "RequestTimeout"

    def __init__(self) -> None:
        super().__init__(
            "every worker was busy until the deployment's request timeout had passed: send fewer requests at once, or "
            "raise instance_count or request_timeout_ms"
        )
        self.headers = [_RETRY_SOON]


class NoReadyWorker(ScoringError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "NoReadyWorker"

    def __init__(self, deployment: str) -> None:
        super().__init__(f"no worker of deployment {deployment!r} is ready; try again shortly")
        self.headers = [_RETRY_SOON]


class GatewayStops(ScoringError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "GatewayStops"

    def __init__(self) -> None:
        super().__init__("the gateway was told to stop before the model had answered; try again shortly")
        self.headers = [_RETRY_SOON]


class DeploymentBroken(ScoringError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "DeploymentBroken"

    def __init__(self, deployment: str, reason: str) -> None:
        super().__init__(f"deployment {deployment!r} cannot serve: {reason}")


class _ModelsFault(ScoringError):
    """424 with what Azure's front end says of a container that failed."""

    status = HTTPStatus.FAILED_DEPENDENCY

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers = [
            (b"ms-azureml-model-error-statuscode", b"500"),
            (b"ms-azureml-model-error-reason", b"model_error"),
            (b"x-ms-run-function-failed", b"True"),
        ]


class ModelFailed(_ModelsFault):
    code = "ModelError"

    def __init__(self, type_name: str, message: str, reference: str | None) -> None:
        where = f" (reference {reference} in the deployment's inference-server log)" if reference else ""
        super().__init__(f"the model raised {type_name}: {message}{where}")
        self.details = [{"code": "LogReference", "message": reference, "target": "log"}] if reference else []


class WorkerDied(_ModelsFault):
    code = "WorkerDied"

    def __init__(self) -> None:
        super().__init__(
            "the worker died while it scored this request, and again when it was tried once more; "
            "the deployment's inference-server log ends with its last words"
        )


class WorkerProtocolError(ScoringError):
    code = "InternalServerError"


def _shortened(name: str) -> str:
    return name if len(name) <= 64 else name[:64] + "…"
