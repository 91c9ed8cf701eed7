"""One platform over HTTP: its token, its canonical errors, and patience while one of its processes restarts."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from modelyard.client.errors import ApiError, PlatformUnreachable
from modelyard.client.platform import Platform
from modelyard.client.transport import BrokenConnection, NoConnection, Reply, Transport

_API_VERSION = "2024-10-01"
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
        self._transport = Transport(heed_proxies=urlsplit(platform.url).hostname not in _LOOPBACK)

    @property
    def platform(self) -> Platform:
        return self._platform

    def close(self) -> None:
        self._transport.close()

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
            if error.status == HTTPStatus.NOT_FOUND:
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

    def put(self, path: str, body: Mapping[str, Any], *, repeatable: bool = False) -> Answer:
        """`repeatable`: said twice it is the same, so it may be said again when the answer was lost."""
        return self.ask("PUT", self.workspace_url(path), body=body, repeatable=repeatable)

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
        repeatable: bool = False,
    ) -> Answer:
        """One exchange with the control plane. Raises ApiError for a refusal."""
        headers = {"Authorization": f"Bearer {self._platform.token}"}
        query = {"api-version": _API_VERSION, **(params or {})} if "api-version=" not in url else params
        reply = self.send(method, url, headers=headers, body=body, params=query, repeatable=repeatable)
        if not reply.is_success:
            raise refusal(reply)
        return _answer(reply)

    # Speaking HTTP.

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
    ) -> Reply:
        """Send once, and again while that is harmless and the platform may only be restarting."""
        patience = Patience(self._patience_seconds if self._has_answered else 0.0)
        is_kept = content is None or isinstance(content, bytes)
        harmless = repeatable or method in _SAFE_TO_REPEAT
        while True:
            try:
                reply = self._send_once(method, url, headers or {}, body, params, content)
            except NoConnection as error:
                if not (is_kept and patience.is_left()):
                    raise PlatformUnreachable(_nobody_at(url)) from error
            except BrokenConnection as error:
                if not (harmless and patience.is_left()):
                    raise PlatformUnreachable(_broken_off(url, error)) from error
            else:
                trouble = reply.status in _PASSING_TROUBLE and harmless
                if not (trouble and patience.is_left()):
                    return reply

    def _send_once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: object,
        params: Mapping[str, str] | None,
        content: bytes | Iterable[bytes] | None,
    ) -> Reply:
        if self._trace:
            self._trace.request(method, url, body)
        reply = self._transport.request(method, url, headers, body, params, content)
        self._has_answered = True
        if self._trace:
            self._trace.response(reply.status, reply.text)
        return reply

    @contextmanager
    def stream(self, url: str) -> Iterator[Iterator[bytes]]:
        """The bytes behind a signed URL, piece by piece."""
        if self._trace:
            self._trace.request("GET", url, None)
        try:
            with self._transport.stream(url) as (reply, pieces):
                if not reply.is_success:
                    raise refusal(reply)
                yield pieces
        except NoConnection as error:
            raise PlatformUnreachable(_nobody_at(url)) from error
        except BrokenConnection as error:
            raise PlatformUnreachable(_broken_off(url, error)) from error


def refusal(reply: Reply) -> ApiError:
    """The canonical error body as an exception; anything else by its status and first words."""
    try:
        document = reply.json()
        error = document.get("error", {"code": "Unknown", **document})
        return ApiError.of(error, reply.status)
    except (ValueError, TypeError, KeyError, AttributeError):
        words = " ".join(reply.text.split())[:200] or "nothing"
        return ApiError("Unknown", f"the platform answered {reply.status}: {words}", (), reply.status)


def _nobody_at(url: str) -> str:
    return f"no platform answers at {_origin(url)}: start it with `modelyard up` or set MODELYARD_URL"


def _broken_off(url: str, error: Exception) -> str:
    return f"{_origin(url)} broke off the exchange ({error}); try again"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else url


def _answer(reply: Reply) -> Answer:
    try:
        body = reply.json() if reply.content else {}
        retry_after = float(reply.headers.get("Retry-After") or 1)
    except ValueError:
        raise refusal(reply) from None
    return Answer(
        reply.status, body if isinstance(body, dict) else {}, reply.headers.get("Azure-AsyncOperation"), retry_after
    )
