"""One HTTP request and its response, as handlers see them."""

import json
import os
import re
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from data_plane.scoring.errors import BodyTooLarge, Headers, ScoringError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

_CLIENT_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]+")
_LONGEST_CLIENT_REQUEST_ID = 40
_JSON = (b"content-type", b"application/json")


# Random bytes are asked for so many ids at a time: each call is a system call.
_IDS_AT_ONCE = 256
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


class ClientGone(Exception):
    """The caller closed the connection; there is nobody to answer."""


class Receive(Protocol):
    async def __call__(self) -> Message: ...


class Send(Protocol):
    async def __call__(self, message: Message) -> None: ...


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)


class Request:
    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.id = next(_ids)
        self.deployment_in_path: str | None = None
        """The deployment that the path names, where its protocol's paths can."""
        self.deployment: str | None = None
        """Whose answer it is, once that is chosen."""
        self._header_lines: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers: Mapping[bytes, bytes] = dict(self._header_lines)
        self._receive = receive

    def header(self, name: bytes) -> bytes | None:
        return self._headers.get(name)

    def listed(self, name: bytes) -> bytes | None:
        """A header whose value is a list, which may come in several lines."""
        if name not in self._headers:
            return None
        return b",".join(value for line, value in self._header_lines if line == name)

    @property
    def named_deployment(self) -> str | None:
        named = self.header(b"azureml-model-deployment")
        return named.decode("latin-1") if named else self.deployment_in_path

    def tracing_headers(self) -> Headers:
        headers = [(b"x-request-id", self.id.encode())]
        client_id = self.header(b"x-ms-client-request-id")
        if client_id and _CLIENT_REQUEST_ID.fullmatch(client_id):
            headers.append((b"x-ms-client-request-id", client_id[:_LONGEST_CLIENT_REQUEST_ID]))
        if self.deployment is not None:
            headers.append((b"azureml-model-deployment", self.deployment.encode()))
        return headers

    async def body(self, largest: int) -> bytes:
        """The whole body; one that is too large is refused as soon as that is known."""
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
            size += len(message["body"])
            if size > largest:
                raise BodyTooLarge(largest)
            more = message["more_body"]
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _random_ids() -> Iterator[str]:
    """Random UUIDs (version 4), for ever."""
    while True:
        digits = os.urandom(16 * _IDS_AT_ONCE).hex()
        for start in range(0, len(digits), 32):
            of = digits[start : start + 32]
            yield f"{of[:8]}-{of[8:12]}-4{of[13:16]}-{_VARIANTS[of[16]]}{of[17:20]}-{of[20:]}"


_ids = _random_ids()


def json_response(body: bytes, headers: Headers, status: int = 200) -> Response:
    return Response(status, body, [_JSON, *headers])


def refusal_response(refusal: ScoringError) -> Response:
    """The canonical error body, and beside it the `message` that Azure's inference server has at the top."""
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.message, "details": refusal.details}
    if refusal.target is not None:
        error["target"] = refusal.target
    body = json.dumps({"error": error, "message": refusal.message}, ensure_ascii=False).encode()
    return json_response(body, refusal.headers, refusal.status)
