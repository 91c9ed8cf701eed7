"""One platform over HTTP: its token, its canonical errors, and patience while one of its processes restarts."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import httpx2

from modelyard.client.errors import ApiError, PlatformUnreachable
from modelyard.client.platform import Platform

_API_VERSION = "2024-10-01"
_TIMEOUT = httpx2.Timeout(60.0, connect=5.0)
_PATIENCE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 2.0
_SAFE_TO_REPEAT = frozenset({"GET", "HEAD"})
_PASSING_TROUBLE = frozenset({502, 503, 504})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Trace(Protocol):
    """Sees each exchange, for `--debug`."""

    def request(self, method: str, url: str, body: object) -> None: ...

    def response(self, status: int, body: object) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: dict[str, Any]
    operation_url: str | None
    """Where the operation that this answer began is to be asked after."""
    retry_after: float


class Patience:
    """A pause that grows with each disappointment, until it has lasted too long."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._pause = 0.1

    def is_left(self) -> bool:
        """Pause; False, at once, when there was enough of it."""
        if time.monotonic() + self._pause > self._deadline:
            return False
        time.sleep(self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        return True


class Connection:
    def __init__(
        self, platform: Platform, *, trace: Trace | None = None, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._platform = platform
        self._trace = trace
        self._patience_seconds = patience_seconds
        self._has_answered = False
        # A proxy meant for the internet cannot reach this machine's own loopback.
        self._http = httpx2.Client(timeout=_TIMEOUT, trust_env=urlsplit(platform.url).hostname not in _LOOPBACK)

    @property
    def platform(self) -> Platform:
        return self._platform

    def close(self) -> None:
        self._http.close()

    def workspace_url(self, path: str = "") -> str:
        """The absolute URL of a path below the workspace, such as "/models/m"."""
        return f"{self._platform.url}{self._platform.workspace_id}{path}"

    # Speaking to the control plane.

    def get(self, path: str, **params: str) -> dict[str, Any]:
        return self.ask("GET", self.workspace_url(path), params=params).body

    def find(self, path: str, **params: str) -> dict[str, Any] | None:
        """Like `get`, with None for what does not exist."""
        try:
            return self.get(path, **params)
        except ApiError as error:
            if error.status == httpx2.codes.NOT_FOUND:
                return None
            raise

    def list(self, path: str, **params: str) -> Iterator[dict[str, Any]]:
        """Every entry of a list, page after page."""
        page = self.get(path, **params)
        while True:
            yield from page["value"]
            if not page.get("nextLink"):
                return
            page = self.ask("GET", urljoin(self._platform.url, page["nextLink"])).body

    def put(self, path: str, body: Mapping[str, Any]) -> Answer:
        return self.ask("PUT", self.workspace_url(path), body=body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Answer:
        return self.ask("PATCH", self.workspace_url(path), body=body)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        return self.ask("POST", self.workspace_url(path), body=body)

    def delete(self, path: str) -> Answer:
        return self.ask("DELETE", self.workspace_url(path))

    def ask(
        self,
        method: str,
        url: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> Answer:
        """One exchange with the control plane. Raises ApiError for a refusal."""
        headers = {"Authorization": f"Bearer {self._platform.token}"}
        query = {"api-version": _API_VERSION, **(params or {})} if "api-version=" not in url else params
        response = self.send(method, url, headers=headers, json=body, params=query)
        if not response.is_success:
            raise refusal(response)
        return _answer(response)

    # Speaking HTTP.

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        params: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
    ) -> httpx2.Response:
        """Send once, and again while that is harmless and the platform may only be restarting."""
        patience = Patience(self._patience_seconds if self._has_answered else 0.0)
        while True:
            try:
                response = self._send_once(method, url, headers, json, params, content)
            except httpx2.TransportError as error:
                if not (_is_harmless(method, error) and content is None and patience.is_left()):
                    raise unreachable(url, error) from error
            else:
                trouble = response.status_code in _PASSING_TROUBLE and method in _SAFE_TO_REPEAT
                if not (trouble and patience.is_left()):
                    return response

    def _send_once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        json: object,
        params: Mapping[str, str] | None,
        content: bytes | Iterable[bytes] | None,
    ) -> httpx2.Response:
        if self._trace:
            self._trace.request(method, url, json)
        response = self._http.request(method, url, headers=headers, json=json, params=params or None, content=content)
        self._has_answered = True
        if self._trace:
            self._trace.response(response.status_code, response.text)
        return response

    @contextmanager
    def stream(self, url: str) -> Iterator[Iterator[bytes]]:
        """The bytes behind a signed URL, piece by piece."""
        if self._trace:
            self._trace.request("GET", url, None)
        try:
            with self._http.stream("GET", url) as response:
                if not response.is_success:
                    response.read()
                    raise refusal(response)
                yield response.iter_bytes()
        except httpx2.TransportError as error:
            raise unreachable(url, error) from error


def refusal(response: httpx2.Response) -> ApiError:
    """The canonical error body as an exception; anything else by its status and first words."""
    try:
        document = response.json()
        error = document.get("error", {"code": "Unknown", **document})
        return ApiError.of(error, response.status_code)
    except (ValueError, TypeError, KeyError, AttributeError):
        words = " ".join(response.text.split())[:200] or response.reason_phrase
        return ApiError("Unknown", f"the platform answered {response.status_code}: {words}", (), response.status_code)


def unreachable(url: str, error: Exception) -> PlatformUnreachable:
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.netloc}"
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return PlatformUnreachable(f"no platform answers at {where}: start it with `modelyard up` or set MODELYARD_URL")
    reason = " ".join(str(error).split()) or type(error).__name__
    return PlatformUnreachable(f"the platform at {where} broke off the exchange ({reason}); try again")


def _is_harmless(method: str, error: httpx2.TransportError) -> bool:
    """Nothing was sent when there was no connection; reading twice changes nothing."""
    return isinstance(error, httpx2.ConnectError) or method in _SAFE_TO_REPEAT


def _answer(response: httpx2.Response) -> Answer:
    try:
        body = response.json() if response.content else {}
        retry_after = float(response.headers.get("Retry-After") or 1)
    except ValueError:
        raise refusal(response) from None
    return Answer(
        response.status_code,
        body if isinstance(body, dict) else {},
        response.headers.get("Azure-AsyncOperation"),
        retry_after,
    )
