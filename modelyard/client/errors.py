"""The errors of the client. Each message tells the reader what to do.

    ClientError
    ├── NoPlatform              the URL or the token of the platform is unknown
    ├── PlatformUnreachable     no response from the URL of the platform
    ├── ApiError                an error response of the platform, or a failed operation
    ├── InvalidFolder           a model folder with files that cannot be uploaded
    ├── InvalidDocument         a YAML file with an invalid or missing value
    ├── ContentConflict         a registered version with other content
    ├── TransferFailed          an incomplete upload or download
    └── ScoringError            an error response of the scoring URL

Errors of modelyard.core.errors arise too, from rules of the platform that the client checks before an upload.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class ClientError(Exception):
    """An error with a message of one readable line."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NoPlatform(ClientError):
    pass


class PlatformUnreachable(ClientError):
    pass


class ApiError(ClientError):
    """An error response of the platform, from the ARM error body."""

    def __init__(self, code: str, message: str, details: Sequence[str] = (), status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = tuple(details)
        self.status = status
        """The HTTP status; None for the failure of an accepted operation."""

    @classmethod
    def of(cls, error: Mapping[str, Any], status: int | None = None) -> "ApiError":
        """Create the error from the value of "error" in the body."""
        details = [str(detail.get("message", "")) for detail in error.get("details") or ()]
        return cls(str(error.get("code", "Unknown")), str(error.get("message", "no reason given")), details, status)

    def in_words(self, words: Callable[[str], str]) -> "ApiError":
        """Return the error with each sentence translated."""
        return ApiError(self.code, words(self.message), [words(detail) for detail in self.details], self.status)


class InvalidFolder(ClientError):
    pass


class InvalidDocument(ClientError):
    pass


class ContentConflict(ClientError):
    pass


class TransferFailed(ClientError):
    pass


class ScoringError(ClientError):
    """`violations` has one sentence for each violation of the model's signature."""

    def __init__(self, status: int, message: str, violations: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.violations = tuple(violations)
