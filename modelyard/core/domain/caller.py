"""The author of a change, from authentication down to the rows and the audit events."""

from dataclasses import dataclass
from enum import StrEnum


class CallerKind(StrEnum):
    """The credential that proved the identity."""

    USER = "user"
    """An admin token."""
    ENDPOINT_KEY = "endpoint_key"
    """A key of a batch endpoint. The subject is the endpoint's name."""
    SIGNED_URL = "signed_url"
    """A URL that carries its own permission. The subject is the path of the URL."""
    ANONYMOUS = "anonymous"
    """No credential, on a path that is open to every client."""
    SYSTEM = "system"
    """A process of the platform, acting by itself."""


@dataclass(frozen=True, slots=True)
class Caller:
    subject: str
    kind: CallerKind
    roles: frozenset[str] = frozenset()
    workspace: str | None = None
    """ARM id of the only workspace that the credential is for. None: the credential is for every workspace."""
    request_id: str | None = None
    """The x-ms-request-id of the request. None: a process of the platform acts without a request."""


SYSTEM_HOST = Caller("system:host", CallerKind.SYSTEM)
SYSTEM_BUILDER = Caller("system:builder", CallerKind.SYSTEM)
SYSTEM_BATCH = Caller("system:batch", CallerKind.SYSTEM)
