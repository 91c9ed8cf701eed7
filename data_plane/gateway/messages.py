"""One HTTP request and its response, as handlers see them."""

import json
import re
import uuid
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from data_plane.gateway.refusals import BodyTooLarge, Headers, Refusal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]

_CLIENT_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]+")
_LONGEST_CLIENT_REQUEST_ID = 40
_JSON = (b"content-type", b"application/json")


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
        self.id = str(uuid.uuid4())
        self.deployment: str | None = None
        """Whose answer it is, once that is chosen."""
        self._headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self._receive = receive

    def header(self, name: bytes) -> bytes | None:
        return self._headers.get(name)

    @property
    def named_deployment(self) -> str | None:
        named = self.header(b"azureml-model-deployment")
        return named.decode("latin-1") if named else None

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


def json_response(body: bytes, headers: Headers, status: int = 200) -> Response:
    return Response(status, body, [_JSON, *headers])


def refusal_response(refusal: Refusal) -> Response:
    """The canonical error body, and beside it the `message` that Azure's inference server has at the top."""
    error: dict[str, Any] = {"code": refusal.code, "message": refusal.message, "details": refusal.details}
    if refusal.target is not None:
        error["target"] = refusal.target
    body = json.dumps({"error": error, "message": refusal.message}, ensure_ascii=False).encode()
    return json_response(body, refusal.headers, refusal.status)
