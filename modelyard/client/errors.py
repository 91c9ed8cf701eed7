"""Why the client says no, each with a sentence that tells the reader what to do.

    ClientError
    ├── NoPlatform              nobody said where the platform is
    ├── PlatformUnreachable     it does not answer there
    ├── ApiError                it answers with a refusal, or an operation of it failed
    ├── InvalidFolder           a model folder that cannot be sent as it is
    ├── InvalidDocument         YAML that says something impossible
    ├── ContentConflict         a registered version that has other content
    ├── TransferFailed          an upload or download that could not be finished
    └── ScoringRefused          the scoring URL answers with anything but predictions

The platform's own errors (modelyard.core.errors) also arise here, where its rules are checked before anything is sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any


class ClientError(Exception):
    """A refusal in one readable line."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NoPlatform(ClientError):
    pass


class PlatformUnreachable(ClientError):
    pass


class ApiError(ClientError):
    """The platform's own refusal, as its canonical error body says it."""

    def __init__(self, code: str, message: str, details: Sequence[str] = (), status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = tuple(details)
        self.status = status
        """The HTTP status, or None for the failure of an operation that had been accepted."""

    @classmethod
    def of(cls, error: Mapping[str, Any], status: int | None = None) -> "ApiError":
        """From the inside of {"error": {...}}."""
        details = [str(detail.get("message", "")) for detail in error.get("details") or ()]
        return cls(str(error.get("code", "Unknown")), str(error.get("message", "no reason given")), details, status)


class InvalidFolder(ClientError):
    pass


class InvalidDocument(ClientError):
    pass


class ContentConflict(ClientError):
    pass


class TransferFailed(ClientError):
    pass


class ScoringRefused(ClientError):
    """`violations` holds one sentence for each thing that the model's signature forbids."""

    def __init__(self, status: int, message: str, violations: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.violations = tuple(violations)
