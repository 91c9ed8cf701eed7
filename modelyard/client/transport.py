"""HTTP, by httpx2. Nothing else of the client knows it.

It is imported with the first exchange, because that takes longer than all of `modelyard --help`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx2

_SECONDS = 60.0
_CONNECT_SECONDS = 5.0


class NoConnection(Exception):
    """Nobody was there; nothing has been sent."""


class BrokenConnection(Exception):
    """The exchange ended in the middle; nobody knows how much of it took effect."""


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """Names in any case."""
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
    def __init__(self, *, heed_proxies: bool) -> None:
        self._heed_proxies = heed_proxies

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
    ) -> Reply:
        with self._reading_errors():
            response = self._client.request(
                method, url, headers=headers, json=body, params=params or None, content=content
            )
            return Reply(response.status_code, response.headers, response.content)

    @contextmanager
    def stream(self, url: str) -> Iterator[tuple[Reply, Iterator[bytes]]]:
        """A reply whose body comes piece by piece. One that is no success is read whole at once."""
        with self._reading_errors(), self._client.stream("GET", url) as response:
            content = b"" if response.is_success else response.read()
            yield Reply(response.status_code, response.headers, content), response.iter_bytes()

    @cached_property
    def _client(self) -> "httpx2.Client":
        import httpx2

        timeout = httpx2.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
        return httpx2.Client(timeout=timeout, trust_env=self._heed_proxies)

    @contextmanager
    def _reading_errors(self) -> Iterator[None]:
        import httpx2

        try:
            yield
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            raise NoConnection(_reason(error)) from error
        except httpx2.TransportError as error:
            raise BrokenConnection(_reason(error)) from error
        except httpx2.InvalidURL as error:
            raise NoConnection(_reason(error)) from error


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
