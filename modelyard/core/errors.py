"""Errors of the platform: one exception per reason, each with the HTTP status and the code of the response.

    PlatformError
    ├── InvalidRequest                 400  the request asks for an impossible state
    │   ├── InvalidName                     a name that Azure refuses
    │   ├── InvalidTraffic                  percentages that do not add up
    │   ├── InvalidModel                    a model folder that cannot be deployed
    │   ├── InvalidEnvironment              a conda.yaml (or python_env.yaml) that cannot be built
    │   ├── UploadIncomplete                a model version over an incomplete upload
    │   └── ReferencedResourceMissing       a body that names a resource that does not exist
    ├── Unauthorized                   401  a missing or wrong token
    ├── AuthorizationFailed            403  a caller without the role that the request needs
    ├── IdentityClientRefused          403  a client on another machine asks the token route
    ├── TooManyFailures                429  an address or a subject with many failed authentications
    ├── TooManyUploads                 429  an upload URL by which many files are sent at a time
    ├── TooManyRequests                429  more requests under way than the control plane takes
    ├── UploadUrlExpired               403  an expired or forged signed URL
    ├── ResourceNotFound               404  no resource has the path
    ├── Conflict                       409
    │   ├── OperationInProgress             a second change during an operation
    │   ├── EndpointBeingDeleted            a change of an endpoint in deletion
    │   ├── NameTaken                       an endpoint name in use elsewhere on the platform
    │   ├── DeploymentStillServing          a deletion of a deployment with traffic
    │   └── VersionImmutable                a change of an immutable field of a version
    ├── PayloadTooLarge                413
    ├── BuildFailed                    (in an operation, never in a response) the environment cannot be built
    ├── WorkerFailed                   (in an operation, never in a response) the model does not start
    ├── InvalidSetting                 (exit code 2 of a start, never in a response) a wrong environment variable
    ├── NoSpaceLeft                    507  a disk is full
    └── Unavailable                    503  a server that the platform needs does not answer

Failures of the user's code during scoring are errors of the data plane (ScoringError).
"""

from collections.abc import Sequence
from http import HTTPStatus

from modelyard.core.domain.storable_text import storable_text

_MAX_MESSAGE_CHARACTERS = 16_384


class PlatformError(Exception):
    """An error with a sentence that tells the reader what to do."""

    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR
    code: str = "InternalServerError"

    def __init__(self, message: str, *, target: str | None = None) -> None:
        # A message may quote a file, an installer or a model.
        self.message = storable_text(message, max_characters=_MAX_MESSAGE_CHARACTERS)
        super().__init__(self.message)
        self.target = target


class InvalidRequest(PlatformError):
    status = HTTPStatus.BAD_REQUEST
    code = "BadArgument"

    def __init__(self, message: str, *, target: str | None = None, parts: Sequence["InvalidRequest"] = ()) -> None:
        super().__init__(message, target=target)
        self.parts: tuple[InvalidRequest, ...] = tuple(parts) or (self,)
        """An error for each wrong field."""


class InvalidName(InvalidRequest):
    code = "InvalidName"


class InvalidTraffic(InvalidRequest):
    code = "InvalidTraffic"


class InvalidModel(InvalidRequest):
    code = "InvalidModel"


class InvalidEnvironment(InvalidRequest):
    code = "InvalidEnvironment"


class UploadIncomplete(InvalidRequest):
    code = "UploadIncomplete"


class ReferencedResourceMissing(InvalidRequest):
    code = "ReferencedResourceNotFound"


class Unauthorized(PlatformError):
    status = HTTPStatus.UNAUTHORIZED
    code = "Unauthorized"


class AuthorizationFailed(PlatformError):
    status = HTTPStatus.FORBIDDEN
    code = "AuthorizationFailed"

    def __init__(self, subject: str, role: str, workspace: str) -> None:
        where = "in every workspace" if workspace == "*" else f"in {workspace}"
        super().__init__(
            f"the client {subject!r} does not have the role {str(role)!r} {where}: "
            "ask an owner for a token with the role"
        )


class IdentityClientRefused(PlatformError):
    status = HTTPStatus.FORBIDDEN
    code = "IdentityClientRefused"

    def __init__(self) -> None:
        super().__init__(
            "/msi/token answers clients on the platform's own machine: send the platform's token itself as the bearer, "
            "or set MODELYARD_IDENTITY_CLIENTS=all on the platform"
        )


class TooManyFailures(PlatformError):
    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "TooManyRequests"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(
            f"too many requests with a wrong token: correct the token, and try again in {retry_after_seconds} s"
        )
        self.retry_after_seconds = retry_after_seconds


class TooManyUploads(PlatformError):
    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "TooManyUploads"
    retry_after_seconds = 1

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} files are being sent by this upload URL, which is its limit: wait until one has arrived, or "
            "raise MODELYARD_CONTROL_PLANE_UPLOADS_PER_URL"
        )


class TooManyRequests(PlatformError):
    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "RequestLimitExceeded"

    def __init__(self, limit: int, retry_after_seconds: int) -> None:
        super().__init__(
            f"{limit} requests are under way, which is the limit (MODELYARD_CONTROL_PLANE_PENDING_REQUESTS), and this "
            f"one was not begun: send it again in {retry_after_seconds} s"
        )
        self.retry_after_seconds = retry_after_seconds


class UploadUrlExpired(PlatformError):
    status = HTTPStatus.FORBIDDEN
    code = "AuthenticationFailed"


class ResourceNotFound(PlatformError):
    status = HTTPStatus.NOT_FOUND
    code = "ResourceNotFound"


class Conflict(PlatformError):
    status = HTTPStatus.CONFLICT
    code = "Conflict"


class OperationInProgress(Conflict):
    code = "OperationInProgress"

    def __init__(self, resource: str, state: str) -> None:
        super().__init__(f"{resource} is in state {state}: wait for the end of the operation, then try again")


class EndpointBeingDeleted(Conflict):
    code = "EndpointBeingDeleted"

    def __init__(self, endpoint: str) -> None:
        super().__init__(
            f"endpoint {endpoint!r} is being deleted: wait for the end of the deletion, then create the endpoint again"
        )


class NameTaken(Conflict):
    code = "NameTaken"


class DeploymentStillServing(Conflict):
    code = "DeploymentStillServing"

    def __init__(self, deployment: str, percent: int) -> None:
        super().__init__(
            f"deployment {deployment!r} still receives {percent} % of the traffic: set the traffic to 0 first"
        )


class VersionImmutable(Conflict):
    code = "VersionImmutable"


class PayloadTooLarge(PlatformError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "PayloadTooLarge"


class BuildFailed(PlatformError):
    """The environment cannot be built. The message is the resolver's or the installer's."""

    code = "EnvironmentBuildFailure"


class WorkerFailed(PlatformError):
    """The model does not start in the environment. The message is the last line of the model's traceback."""

    code = "ResourceNotReady"


class Unavailable(PlatformError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "ServiceUnavailable"


class InvalidSetting(PlatformError):
    """The message names the variable and never the value."""

    code = "InvalidSetting"


class NoSpaceLeft(PlatformError):
    status = HTTPStatus.INSUFFICIENT_STORAGE
    code = "NoSpaceLeft"

    def __init__(self, folder: str) -> None:
        super().__init__(f"no space left on device: free space in {folder}")
