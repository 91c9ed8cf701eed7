"""What a store's refusal means, in a sentence that names the cause and holds nothing of the request or its answer.

The library's own messages hold URLs, which may be signed, and whatever the server wrote; none of that leaves here.
"""

import re
from dataclasses import dataclass

from obstore.exceptions import AlreadyExistsError, PermissionDeniedError, PreconditionError, UnauthenticatedError

from modelyard.core.ports.object_store import ObjectMissing, StoreRefused, StoreUnavailable

_CODE = re.compile(r"<Code>(\w+)</Code>|\"code\": ?\"(\w+)\"")
_STATUS = re.compile(r"status code: (\d{3})|code: (\d{3})\)")

_NO_CONTAINER = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "InvalidBucketName"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_EXPIRED_SIGNATURE = "Signature not valid in the specified time frame"
_UNKNOWN = {
    "AuthenticationFailed",
    "InvalidAccessKeyId",
    "InvalidAuthenticationInfo",
    "InvalidToken",
    "NoAuthenticationInformation",
    "SignatureDoesNotMatch",
}
_CONDITIONS = {"BlobAlreadyExists", "ConditionNotMet", "ConditionalRequestConflict", "PreconditionFailed"}
_BUSY = {"OperationAborted", "ServerBusy", "SlowDown"}
_OTHER_REGION = {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
# Where the library looks for credentials when it was given none.
_MACHINE_IDENTITY = "http://169.254."
# Azurite does not refuse a range that begins at the very end; the library then does.
_BEYOND_END = ("<Code>InvalidRange</Code>", "StartTooLarge", "ParseContentRange")
_CUT_BODY = "IncompleteBody"
_CAUSES = (
    ("dns error", "its host name is not known"),
    ("ConnectionRefused", "the connection was refused"),
    ("TimedOut", "it did not answer in time"),
    ("certificate", "its certificate is not trusted"),
    ("IncompleteMessage", "the connection was cut"),
    ("ConnectionReset", "the connection was cut"),
    ("UnexpectedEof", "the connection was cut"),
    ("BrokenPipe", "the connection was cut"),
    ("kind: Decode", "the connection was cut"),
    ("kind: Connect", "no connection was made"),
)


@dataclass(frozen=True, slots=True)
class StorePlace:
    """A store as its messages name it."""

    name: str
    """Such as "s3://bucket at 127.0.0.1:9000"; holds no secret."""
    container: str
    """What the store calls it: bucket or container."""
    credentials: str
    """The variables that hold them."""


class AnswerCut(StoreUnavailable):
    """The connection broke within an answer's body: worth asking again at once."""


class ConditionFailed(Exception):
    """There is an object where none was to be, or another one than was expected."""


class BeyondEnd(Exception):
    """A range was asked for that begins at or after the object's end."""


def refusal(error: Exception, place: StorePlace, operation: str, key: str) -> Exception:
    """What to raise instead of the library's error."""
    text = str(error)
    status, code = _status(error, text), _found(_CODE, text)
    if status == 416 or any(sign in text for sign in _BEYOND_END):
        return BeyondEnd()
    is_condition = isinstance(error, AlreadyExistsError | PreconditionError)
    if status == 412 or code in _CONDITIONS or (is_condition and status is None):
        return ConditionFailed()
    if (status is None or status >= 500 or status in {408, 429} or code in _BUSY) and _MACHINE_IDENTITY not in text:
        kind = AnswerCut if _CUT_BODY in text else StoreUnavailable
        return kind(f"the object store {place.name} could not {operation} {key}: {_cause(text, status)}")
    if reason := _reason(text, status, code, place):
        return StoreRefused(f"the object store {place.name} refused to {operation} {key}: {reason}")
    return ObjectMissing(key)


def _reason(text: str, status: int | None, code: str | None, place: StorePlace) -> str | None:
    """None where nothing is wrong but that the object is not there."""
    if _MACHINE_IDENTITY in text:
        return f"there are no credentials: set {place.credentials}"
    if code in _NO_CONTAINER:
        return f"the {place.container} does not exist: make it, or correct the storage URL"
    if code in _EXPIRED or _EXPIRED_SIGNATURE in text:
        return f"the credentials have expired: set {place.credentials} to new ones and start again"
    if code in _UNKNOWN or status == 401:
        return f"it does not accept the credentials: correct {place.credentials}"
    if code in _OTHER_REGION or status in {301, 307}:
        return f"the {place.container} lies in another region: correct AWS_REGION"
    if code == "RequestTimeTooSkewed":
        return "this machine's clock is wrong: set it"
    if status == 403:
        return f"the credentials lack the right ({code or 'Forbidden'}): grant it, or change {place.credentials}"
    return None if status == 404 else f"it answered {status} {code or ''}".rstrip()


def _status(error: Exception, text: str) -> int | None:
    if isinstance(error, FileNotFoundError):
        return 404
    if isinstance(error, PermissionDeniedError):
        return 403
    if isinstance(error, UnauthenticatedError):
        return 401
    found = _found(_STATUS, text)
    return int(found) if found else None


def _cause(text: str, status: int | None) -> str:
    if status is not None:
        return f"it answered {status}, also when asked again"
    return next((sentence for sign, sentence in _CAUSES if sign in text), "it gave no answer that can be understood")


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return next(filter(None, match.groups()), None) if match else None
