"""HTTP by httpx2. No other module of the client imports httpx2.

The first request imports httpx2, because the import takes longer than `modelyard --help`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

_SECONDS = 60.0
_CONNECT_SECONDS = 5.0


class NoConnection(Exception):
    """No server listens at the URL; nothing was sent."""


class FailedHandshake(Exception):
    """The server listens, and no TLS connection came about; nothing was sent."""

    def __init__(self, reason: str, *, is_untrusted: bool) -> None:
        super().__init__(reason)
        self.is_untrusted = is_untrusted
        """Whether the server's certificate is the reason."""


class BrokenConnection(Exception):
    """The connection broke during the request. The request may or may not have taken effect."""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    headers: Mapping[str, str]
    """Header names are case-insensitive."""
    content: bytes

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def text(self) -> str:
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        return json.loads(self.content)


class Transport:
    def __init__(self, *, use_proxies: bool, certificates: Sequence[Path] = ()) -> None:
        """`certificates` are files of authorities that are trusted beside those of the machine."""
        self._use_proxies = use_proxies
        self._certificates = certificates

    def close(self) -> None:
        self._client.close()

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: object = None,
        params: Mapping[str, str] | None = None,
        content: bytes | Iterable[bytes] | None = None,
    ) -> Response:
        with self._translated_errors():
            response = self._client.request(
                method, url, headers=headers, json=body, params=params or None, content=content
            )
            return Response(response.status_code, response.headers, response.content)

    @contextmanager
    def stream(self, url: str) -> Iterator[tuple[Response, Iterator[bytes]]]:
        """Stream a response body. The body of an error response is read whole."""
        with self._translated_errors(), self._client.stream("GET", url) as response:
            content = b"" if response.is_success else response.read()
            yield Response(response.status_code, response.headers, content), response.iter_bytes()

    @cached_property
    def _client(self) -> "httpx2.Client":
        import httpx2

        timeout = httpx2.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
        context = httpx2.create_ssl_context(trust_env=self._use_proxies)
        for path in self._certificates:
            with suppress(OSError):
                context.load_verify_locations(path)
        return httpx2.Client(timeout=timeout, trust_env=self._use_proxies, verify=context)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        import httpx2

        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            failure = _tls_failure(error)
            if failure is not None:
                raise failure from error
            raise NoConnection(_reason(error)) from error
        except httpx2.TransportError as error:
            raise BrokenConnection(_reason(error)) from error
        except httpx2.InvalidURL as error:
            raise NoConnection(_reason(error)) from error


def _tls_failure(error: BaseException) -> FailedHandshake | None:
    """The failure of TLS that caused the error, if one did."""
    import ssl

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLEOFError):
            # The server stops, or is not a server of TLS.
            return None
        if isinstance(cause, ssl.SSLCertVerificationError):
            return FailedHandshake(cause.verify_message or _reason(cause), is_untrusted=True)
        if isinstance(cause, ssl.SSLError):
            reason = (cause.reason or _reason(cause)).replace("_", " ").lower()
            return FailedHandshake(reason, is_untrusted=False)
        cause = cause.__cause__ or cause.__context__
    return None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
