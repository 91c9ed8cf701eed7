"""HTTP to one platform: authentication, ARM errors, and retries while a process of the platform restarts."""

import json
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from modelyard.client.errors import ApiError, PlatformUnreachable
from modelyard.client.platform import LOOPBACK, Platform
from modelyard.client.transport import BrokenConnection, FailedHandshake, NoConnection, Response, Transport

_API_VERSION = "2024-10-01"
_RETRY_SECONDS = 60.0
_MAX_PAUSE_SECONDS = 2.0
_REPEATABLE = frozenset({"GET", "HEAD"})
_REQUEST_LIMIT = "RequestLimitExceeded"
_TRANSIENT = frozenset({502, 503, 504})


_WARNING = re.compile(r'299 modelyard ("(?:[^"\\]|\\.)*")')

Words = Callable[[str], str]
"""Translates a sentence of the platform into the words of the caller's document."""


def warn_in_python(sentence: str) -> None:
    warnings.warn(sentence, stacklevel=2)


class Trace(Protocol):
    """Receives every request and response, for `--debug`."""

    def request(self, method: str, url: str, body: object) -> None: ...

    def response(self, status: int, body: object) -> None: ...


@dataclass(frozen=True, slots=True)
class ArmResponse:
    status: int
    body: dict[str, Any]
    operation_url: str | None
    """The URL of the operation that the request started."""
    retry_after: float


class RetryPolicy:
    """Growing pauses between attempts, up to a deadline."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._pause = 0.1

    def pause(self, *, at_least: float = 0.0) -> bool:
        """Sleep until the next attempt. Returns False at once when the pause would pass the deadline."""
        seconds = max(self._pause, at_least)
        if time.monotonic() + seconds > self._deadline:
            return False
        time.sleep(seconds)
        self._pause = min(self._pause * 2, _MAX_PAUSE_SECONDS)
        return True


class Connection:
    def __init__(
        self,
        platform: Platform,
        *,
        trace: Trace | None = None,
        note: Callable[[str], None] = warn_in_python,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        """`note` receives a sentence for each field of a request that has no effect."""
        self._platform = platform
        self._note = note
        self._trace = trace
        self._retry_seconds = retry_seconds
        self._was_reached = False
        # An internet proxy cannot reach the loopback address of this machine.
        is_remote = urlsplit(platform.url).hostname not in LOOPBACK
        self._transport = Transport(use_proxies=is_remote, certificates=platform.certificates)

    @property
    def platform(self) -> Platform:
        return self._platform

    def close(self) -> None:
        self._transport.close()

    def workspace_url(self, path: str = "") -> str:
        """Return the absolute URL of a path below the workspace, for example "/models/m"."""
        return f"{self._platform.url}{self._platform.workspace_id}{path}"

    # Requests to the control plane.

    def get(self, path: str, **params: str) -> dict[str, Any]:
        return self.request("GET", self.workspace_url(path), params=params).body

    def find(self, path: str, **params: str) -> dict[str, Any] | None:
        """Like `get`; returns None for a missing resource."""
        try:
            return self.get(path, **params)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list(self, path: str, **params: str) -> Iterator[dict[str, Any]]:
        """Yield the entries of a list, page by page."""
        return self.list_at(self.workspace_url(path), **params)

    def list_at(self, url: str, **params: str) -> Iterator[dict[str, Any]]:
        """Like `list`, for an absolute URL."""
        page = self.request("GET", url, params=params).body
        while True:
            yield from page["value"]
            if not page.get("nextLink"):
                return
            page = self.request("GET", urljoin(self._platform.url, page["nextLink"])).body

    def put(
        self, path: str, body: Mapping[str, Any], *, repeatable: bool = False, words: Words | None = None
    ) -> ArmResponse:
        """`repeatable` allows a second attempt after a lost response, for requests that have the same effect twice.

        `words` translates errors and notes on the body; None keeps errors as they are and notes on nothing, for a body
        that the client itself has read from the platform.
        """
        return self.request("PUT", self.workspace_url(path), body=body, repeatable=repeatable, words=words)

    def patch(self, path: str, body: Mapping[str, Any]) -> ArmResponse:
        return self.request("PATCH", self.workspace_url(path), body=body)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> ArmResponse:
        return self.request("POST", self.workspace_url(path), body=body)

    def delete(self, path: str) -> ArmResponse:
        return self.request("DELETE", self.workspace_url(path))

    def request(
        self,
        method: str,
        url: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        words: Words | None = None,
    ) -> ArmResponse:
        """Send a request to the control plane. Raises ApiError for an error response."""
        headers = {"Authorization": f"Bearer {self._platform.token}", **(headers or {})}
        query = {"api-version": _API_VERSION, **(params or {})} if "api-version=" not in url else params
        response = self.send(method, url, headers=headers, body=body, params=query, repeatable=repeatable)
        if not response.is_success:
            error = api_error(response)
            raise error.in_words(words) if words else error
        if words:
            for sentence in _WARNING.findall(response.headers.get("Warning") or ""):
                self._note(words(json.loads(sentence)))
        return _arm_response(response)

    # Plain HTTP.

    def authorization_for(self, url: str) -> Mapping[str, str]:
        """The header with the token, for a URL of the platform itself; else empty: a token goes to no other server."""
        is_own = urlsplit(url)[:2] == urlsplit(self._platform.url)[:2]
        return {"Authorization": f"Bearer {self._platform.token}"} if is_own else {}

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        params: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
        repeatable: bool = False,
    ) -> Response:
        """Send a request, with retries for repeatable requests while the platform may be restarting."""
        retries = RetryPolicy(self._retry_seconds if self._was_reached else 0.0)
        refusals = RetryPolicy(self._retry_seconds)
        is_replayable = content is None or isinstance(content, bytes)
        is_repeatable = repeatable or method in _REPEATABLE
        while True:
            try:
                response = self._attempt(method, url, headers or {}, body, params, content)
            except FailedHandshake as error:
                raise PlatformUnreachable(_failed_handshake(url, error)) from error
            except NoConnection as error:
                if not (is_replayable and retries.pause()):
                    raise PlatformUnreachable(_no_server_at(url)) from error
            except BrokenConnection as error:
                if not (is_repeatable and retries.pause()):
                    raise PlatformUnreachable(_closed_early(url, error)) from error
            else:
                is_transient = response.status in _TRANSIENT and is_repeatable
                if is_replayable and _was_not_begun(response) and refusals.pause(at_least=_retry_after(response)):
                    continue
                if not (is_transient and retries.pause()):
                    return response

    def _attempt(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: object,
        params: Mapping[str, str] | None,
        content: bytes | Iterable[bytes] | None,
    ) -> Response:
        if self._trace:
            self._trace.request(method, url, body)
        response = self._transport.request(method, url, headers, body, params, content)
        self._was_reached = True
        if self._trace:
            self._trace.response(response.status, response.text)
        return response

    @contextmanager
    def stream(self, url: str) -> Iterator[Iterator[bytes]]:
        """Stream the bytes of a signed URL."""
        if self._trace:
            self._trace.request("GET", url, None)
        try:
            with self._transport.stream(url) as (response, pieces):
                if not response.is_success:
                    raise api_error(response)
                yield pieces
        except FailedHandshake as error:
            raise PlatformUnreachable(_failed_handshake(url, error)) from error
        except NoConnection as error:
            raise PlatformUnreachable(_no_server_at(url)) from error
        except BrokenConnection as error:
            raise PlatformUnreachable(_closed_early(url, error)) from error


def _was_not_begun(response: Response) -> bool:
    """Whether the control plane had too many requests under way: a repetition has no second effect."""
    return response.status == HTTPStatus.TOO_MANY_REQUESTS and api_error(response).code == _REQUEST_LIMIT


def _retry_after(response: Response) -> float:
    """Return the seconds of the header Retry-After; 1 without a whole number."""
    seconds = response.headers.get("Retry-After") or ""
    return float(seconds) if seconds.isdecimal() else 1.0


def api_error(response: Response) -> ApiError:
    """Return the error of an ARM error body; for another body, the status and the first 200 characters."""
    try:
        document = response.json()
        error = document.get("error", {"code": "Unknown", **document})
        return ApiError.of(error, response.status)
    except (ValueError, TypeError, KeyError, AttributeError):
        words = " ".join(response.text.split())[:200] or "an empty body"
        return ApiError("Unknown", f"the platform answered with status {response.status}: {words}", (), response.status)


def _no_server_at(url: str) -> str:
    return f"no platform answers at {_origin(url)}: start it with `modelyard up` or set MODELYARD_URL"


def _failed_handshake(url: str, error: FailedHandshake) -> str:
    if error.is_untrusted:
        return (
            f"the certificate of {_origin(url)} is not trusted ({error}): set SSL_CERT_FILE to a file with the "
            "certificate of its authority, for `modelyard up --tls` the file tls/ca.pem in the data dir"
        )
    return f"{_origin(url)} does not speak TLS as this client does ({error}): use its http:// URL, or another port"


def _closed_early(url: str, error: Exception) -> str:
    return f"{_origin(url)} closed the connection before the response was complete ({error}); try again"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else url


def _arm_response(response: Response) -> ArmResponse:
    try:
        body = response.json() if response.content else {}
        retry_after = float(response.headers.get("Retry-After") or 1)
    except ValueError:
        raise api_error(response) from None
    return ArmResponse(
        response.status,
        body if isinstance(body, dict) else {},
        response.headers.get("Azure-AsyncOperation"),
        retry_after,
    )
