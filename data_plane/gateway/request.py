"""An HTTP request, for handlers."""

import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Protocol

from data_plane.gateway.body_budget import BodyShare
from data_plane.gateway.errors import BodyTooLarge
from data_plane.scoring.codecs.port import Headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

_CLIENT_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]+")
_LONGEST_CLIENT_REQUEST_ID = 40

# A body of at most this size arrives with the headers.
_SMALL_BODY = 64 << 10

# Random bytes are read for so many ids at a time, because each read is a system call.
_IDS_AT_ONCE = 256
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


class ClientGone(Exception):
    """The caller closed the connection: an answer would reach no reader."""


class Receive(Protocol):
    async def __call__(self) -> Message: ...


class Send(Protocol):
    async def __call__(self, message: Message) -> None: ...


class Request:
    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.endpoint, _, self.path_below = self.path[1:].partition("/")
        """The endpoint's name, and the path below the endpoint."""
        self.query: bytes = scope["query_string"]
        self.id = next(_ids)
        self.deployment_in_path: str | None = None
        """The deployment in the path, in Open Inference."""
        self.deployment: str | None = None
        """The chosen deployment."""
        self.limit_headers: Headers = []
        """What is left of the key's limits, for an endpoint with limits."""
        self._header_lines: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers: Mapping[bytes, bytes] = dict(self._header_lines)
        self._receive = receive

    def header(self, name: bytes) -> bytes | None:
        return self._headers.get(name)

    def list_header(self, name: bytes) -> bytes | None:
        """Return a list-valued header, joined from all lines of the same name."""
        if name not in self._headers:
            return None
        return b",".join(value for line, value in self._header_lines if line == name)

    @property
    def named_deployment(self) -> str | None:
        named = self.header(b"azureml-model-deployment")
        return named.decode("latin-1") if named else self.deployment_in_path

    def tracing_headers(self) -> Headers:
        headers = [(b"x-request-id", self.id.encode()), *self.limit_headers]
        client_id = self.header(b"x-ms-client-request-id")
        if client_id and _CLIENT_REQUEST_ID.fullmatch(client_id):
            headers.append((b"x-ms-client-request-id", client_id[:_LONGEST_CLIENT_REQUEST_ID]))
        if self.deployment is not None:
            headers.append((b"azureml-model-deployment", self.deployment.encode()))
        return headers

    @property
    def may_have_large_body(self) -> bool:
        """Whether a body is worth a look at the deployment's queue before it is read."""
        length = self.header(b"content-length")
        return length is None or int(length) > _SMALL_BODY or b"expect" in self._headers

    async def body(self, largest: int, share: BodyShare) -> bytes:
        """Return the whole body, and take its bytes from the budget.

        Raises BodyTooLarge beyond `largest` bytes, as early as the size is known, and BodiesFull.
        """
        announced = self.header(b"content-length")
        if announced is not None and int(announced) > largest:
            raise BodyTooLarge(largest)
        chunks: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunks.append(message["body"])
            share.take(len(message["body"]))
            size += len(message["body"])
            if size > largest:
                raise BodyTooLarge(largest)
            more = message["more_body"]
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _random_ids() -> Iterator[str]:
    """Yield random UUIDs (version 4) without end."""
    while True:
        digits = os.urandom(16 * _IDS_AT_ONCE).hex()
        for start in range(0, len(digits), 32):
            of = digits[start : start + 32]
            yield f"{of[:8]}-{of[8:12]}-4{of[13:16]}-{_VARIANTS[of[16]]}{of[17:20]}-{of[20:]}"


_ids = _random_ids()
