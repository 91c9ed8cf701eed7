"""Why the platform says no: one exception per reason, each with the HTTP status and code that the edge answers with.

    PlatformError
    ├── InvalidRequest                 400  the request asks for something that cannot be
    │   ├── InvalidName                     a name that Azure would refuse
    │   ├── InvalidTraffic                  percentages that do not add up
    │   ├── InvalidModel                    a model folder that cannot be deployed
    │   ├── InvalidEnvironment              a conda.yaml (or the like) that cannot be built as it is
    │   ├── UploadIncomplete                a model version over an upload that is not whole
    │   └── ReferencedResourceMissing       a body that names a resource that does not exist
    ├── Unauthorized                   401  no token, or a wrong one
    ├── UploadUrlExpired               403  a signed URL past its time, or not ours
    ├── ResourceNotFound               404  the path names nothing
    ├── Conflict                       409
    │   ├── OperationInProgress             a second change while one is running
    │   ├── EndpointBeingDeleted            a change to what is going away
    │   ├── NameTaken                       an endpoint name in use elsewhere on the platform
    │   ├── DeploymentStillServing          a deletion of what still receives traffic
    │   └── VersionImmutable                a registered version changed in what may not change
    ├── PayloadTooLarge                413
    ├── BuildFailed                    (never at the edge: recorded in an operation) the environment cannot be made
    ├── WorkerFailed                    (likewise) the model does not start
    ├── InvalidSetting                 (never at the edge: a start ends with exit code 2) a variable that cannot be
    ├── NoSpaceLeft                    507  a disk is full
    └── Unavailable                    503  a server the platform needs does not answer

Failures of the user's own code while it scores are not here: they are answers of the data plane, not of the platform.
"""

from http import HTTPStatus


class PlatformError(Exception):
    """A refusal with a sentence that tells the reader what to do."""

    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR
    code: str = "InternalServerError"

    def __init__(self, message: str, *, target: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.target = target


class InvalidRequest(PlatformError):
    status = HTTPStatus.BAD_REQUEST
    code = "BadArgument"


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
        super().__init__(f"{resource} is in state {state}: wait until its operation has ended, then try again")


class EndpointBeingDeleted(Conflict):
    code = "EndpointBeingDeleted"

    def __init__(self, endpoint: str) -> None:
        super().__init__(f"endpoint {endpoint!r} is being deleted: wait until it is gone, then create it anew")


class NameTaken(Conflict):
    code = "NameTaken"


class DeploymentStillServing(Conflict):
    code = "DeploymentStillServing"

    def __init__(self, deployment: str, percent: int) -> None:
        super().__init__(
            f"deployment {deployment!r} still receives {percent} % of the traffic: set its traffic to 0 first"
        )


class VersionImmutable(Conflict):
    code = "VersionImmutable"


class PayloadTooLarge(PlatformError):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "PayloadTooLarge"


class BuildFailed(PlatformError):
    """The environment cannot be made; the message is the resolver's or installer's own sentence."""

    code = "EnvironmentBuildFailure"


class WorkerFailed(PlatformError):
    """The model does not start in its environment; the message is the last line of its own traceback."""

    code = "ResourceNotReady"


class Unavailable(PlatformError):
    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "ServiceUnavailable"


class InvalidSetting(PlatformError):
    """The message names the variable, and never repeats its value."""

    code = "InvalidSetting"


class NoSpaceLeft(PlatformError):
    status = HTTPStatus.INSUFFICIENT_STORAGE
    code = "NoSpaceLeft"

    def __init__(self, folder: str) -> None:
        super().__init__(f"no space left on device: free space in {folder}")
