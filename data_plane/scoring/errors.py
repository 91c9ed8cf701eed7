"""The failures of a scoring request: one exception per reason, without HTTP. `gateway/errors.py` maps each to a status.

ScoringError                        the platform failed
├── InvalidRequest                  the caller has to change the request
│   ├── InvalidBody                 the body does not follow the protocol
│   ├── UnsupportedMediaType        the protocol does not define the Content-Type
│   ├── InputRefused                MLflow refused the input in the model worker
│   └── SignatureViolations         the input does not fit the model's signature (`signature/violations.py`)
├── NotFound
├── Unauthenticated                 the credential is missing or not valid
├── Unauthorized                    the caller lacks the role that the request needs
├── TooManyRequests                 the deployment's queue is full, or its workers stayed busy
├── DeadlineExceeded
│   ├── DeadlinePassed              the model did not answer in time
│   └── NoWorkerInTime              every worker stayed busy until the deadline
├── Unavailable
│   └── NoReadyWorker               no worker of the deployment is loaded and connected
├── ModelFault                      the user's code failed
│   ├── ModelFailed                 the model raised an exception
│   ├── ResultTooLarge              the model's result makes a larger response than allowed
│   └── WorkerDied                  the worker died during the request, and again at the retry
└── WorkerProtocolError             a message of the model worker cannot be read

The gateway adds the reasons of routing and HTTP. A protocol's error codes follow the first level of classes.
"""

from typing import Any


class ScoringError(Exception):
    """A failure with a message for the caller: the cause, and the remedy."""

    code = "InternalServerError"
    """The code in Azure's error body."""

    def __init__(self, message: str, *, target: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.target = target
        """The wrong part of the request. None: the whole request."""
        self.details: list[dict[str, Any]] = []


class InvalidRequest(ScoringError):
    code = "BadArgument"


class InvalidBody(InvalidRequest):
    pass


class UnsupportedMediaType(InvalidRequest):
    code = "UnsupportedMediaType"


class InputRefused(InvalidRequest):
    code = "SignatureViolation"

    def __init__(self, message: str) -> None:
        super().__init__(f"the model's type hint or signature refuses the input: {message}")


class NotFound(ScoringError):
    code = "NotFound"


class Unauthenticated(ScoringError):
    code = "Unauthorized"


class Unauthorized(ScoringError):
    code = "AuthorizationFailed"


class TooManyRequests(ScoringError):
    code = "TooManyRequests"


class DeadlineExceeded(ScoringError):
    code = "RequestTimeout"


class DeadlinePassed(DeadlineExceeded):
    def __init__(self) -> None:
        super().__init__(
            "the model did not answer within the deployment's request timeout: "
            "send fewer rows, or raise request_timeout_ms"
        )


class NoWorkerInTime(DeadlineExceeded):
    def __init__(self) -> None:
        super().__init__(
            "every worker was busy until the deployment's request timeout had passed: send fewer requests at once, or "
            "raise instance_count or request_timeout_ms"
        )


class Unavailable(ScoringError):
    code = "Unavailable"


class NoReadyWorker(Unavailable):
    code = "NoReadyWorker"

    def __init__(self, deployment: str) -> None:
        super().__init__(f"no worker of deployment {deployment!r} is ready; try again shortly")


class ModelFault(ScoringError):
    pass


class ModelFailed(ModelFault):
    code = "ModelError"

    def __init__(self, type_name: str, message: str, reference: str | None) -> None:
        where = f" (reference {reference} in the deployment's inference-server log)" if reference else ""
        super().__init__(f"the model raised {type_name}: {message}{where}")
        self.details = [{"code": "LogReference", "message": reference, "target": "log"}] if reference else []


class ResultTooLarge(ModelFault):
    code = "ResultTooLarge"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(
            f"the model's result makes a response of more than {max_bytes} bytes: send fewer rows in a request, or "
            "score the rows with a batch endpoint"
        )


class WorkerDied(ModelFault):
    code = "WorkerDied"

    def __init__(self) -> None:
        super().__init__(
            "the worker died while it scored this request, and again at the second try; "
            "the deployment's inference-server log ends with the worker's last output"
        )


class WorkerProtocolError(ScoringError):
    pass
