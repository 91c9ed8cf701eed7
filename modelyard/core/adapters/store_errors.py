"""From an error of the library to an error of the port, with a sentence about the cause.

The library's messages contain signed URLs and text of the server; the port's sentences do not.
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
# Address of the machine's identity: the library asks there without configured credentials.
_MACHINE_IDENTITY = "http://169.254."
# Azurite accepts a range from the end of the object on; the library refuses the response.
_BEYOND_END = ("<Code>InvalidRange</Code>", "StartTooLarge", "ParseContentRange")
_CUT_BODY = "IncompleteBody"
_CAUSES = (
    ("dns error", "the host name is not known"),
    ("ConnectionRefused", "the connection was refused"),
    ("TimedOut", "no response in time"),
    ("certificate", "the certificate is not trusted"),
    ("IncompleteMessage", "the connection was cut"),
    ("ConnectionReset", "the connection was cut"),
    ("UnexpectedEof", "the connection was cut"),
    ("BrokenPipe", "the connection was cut"),
    ("kind: Decode", "the connection was cut"),
    ("kind: Connect", "no connection was possible"),
)


@dataclass(frozen=True, slots=True)
class StorePlace:
    """The names of a store in messages."""

    name: str
    """For example "s3://bucket at 127.0.0.1:9000", without a secret."""
    container: str
    """The store's word: bucket or container."""
    credentials: str
    """Names of the variables with the credentials."""


class ResponseCut(StoreUnavailable):
    """The connection broke within the body of a response: an immediate retry may succeed."""


class ConditionFailed(Exception):
    """The key has an object where none was expected, or another version than expected."""


class BeyondEnd(Exception):
    """The requested range begins at or after the end of the object."""


def port_error(error: Exception, place: StorePlace, operation: str, key: str) -> Exception:
    """Return the exception to raise in place of the library's `error`."""
    text = str(error)
    status, code = _status(error, text), _found(_CODE, text)
    if status == 416 or any(sign in text for sign in _BEYOND_END):
        return BeyondEnd()
    is_condition = isinstance(error, AlreadyExistsError | PreconditionError)
    if status == 412 or code in _CONDITIONS or (is_condition and status is None):
        return ConditionFailed()
    if (status is None or status >= 500 or status in {408, 429} or code in _BUSY) and _MACHINE_IDENTITY not in text:
        kind = ResponseCut if _CUT_BODY in text else StoreUnavailable
        return kind(f"the object store {place.name} could not {operation} {key}: {_cause(text, status)}")
    if reason := _reason(text, status, code, place):
        return StoreRefused(f"the object store {place.name} refused to {operation} {key}: {reason}")
    return ObjectMissing(key)


def _reason(text: str, status: int | None, code: str | None, place: StorePlace) -> str | None:
    """Return the reason of a refusal, or None when the object is merely missing."""
    if _MACHINE_IDENTITY in text:
        return f"no credentials are set: set {place.credentials}"
    if code in _NO_CONTAINER:
        return f"the {place.container} does not exist: create it, or correct the storage URL"
    if code in _EXPIRED or _EXPIRED_SIGNATURE in text:
        return f"the credentials have expired: set {place.credentials} to new credentials and restart"
    if code in _UNKNOWN or status == 401:
        return f"the credentials are not accepted: correct {place.credentials}"
    if code in _OTHER_REGION or status in {301, 307}:
        return f"the {place.container} is in another region: correct AWS_REGION"
    if code == "RequestTimeTooSkewed":
        return "the clock of this machine is wrong: set the clock"
    if status == 403:
        return f"the credentials lack the right ({code or 'Forbidden'}): grant it, or change {place.credentials}"
    return None if status == 404 else f"status {status} {code or ''}".rstrip()


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
        return f"status {status} in every attempt"
    return next((sentence for sign, sentence in _CAUSES if sign in text), "the response cannot be understood")


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return next(filter(None, match.groups()), None) if match else None
