"""An HTTP request, for handlers."""

import os
import re
from collections.abc import Iterator

from data_plane.gateway.body_budget import BodyShare
from data_plane.gateway.errors import BodyTooLarge
from data_plane.scoring.codecs.port import Headers
from modelyard.process.http_exchange import HttpExchange, RequestHead

_CLIENT_REQUEST_ID = re.compile(rb"[A-Za-z0-9_-]+")
_LONGEST_CLIENT_REQUEST_ID = 40

_MEMO = "gateway"

# A body of at most this size arrives with the headers.
_SMALL_BODY = 64 << 10

# Random bytes are read for so many ids at a time, because each read is a system call.
_IDS_AT_ONCE = 256
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


class ClientGone(Exception):
    """The caller closed the connection: an answer would reach no reader."""


class _Facts:
    """What follows from the head of a request alone. Kept with the head, which many requests share."""

    __slots__ = (
        "accept_encoding",
        "body_bytes",
        "client_id",
        "content_encoding",
        "endpoint",
        "may_have_large_body",
        "named_deployment",
        "path_below",
    )

    def __init__(self, head: RequestHead) -> None:
        header = head.by_name.get
        self.endpoint, _, self.path_below = head.path[1:].partition("/")
        length = header(b"content-length")
        self.body_bytes = None if length is None else int(length)
        """None: not announced."""
        self.may_have_large_body = length is None or int(length) > _SMALL_BODY or b"expect" in head.by_name
        named = header(b"azureml-model-deployment")
        self.named_deployment = named.decode("latin-1") if named else None
        client_id = header(b"x-ms-client-request-id")
        is_valid = client_id is not None and _CLIENT_REQUEST_ID.fullmatch(client_id)
        self.client_id = client_id[:_LONGEST_CLIENT_REQUEST_ID] if client_id and is_valid else None
        self.accept_encoding = _list_header(head, b"accept-encoding")
        self.content_encoding = _list_header(head, b"content-encoding")


def _list_header(head: RequestHead, name: bytes) -> bytes | None:
    """Return a list-valued header, joined from all lines of the same name."""
    if name not in head.by_name:
        return None
    return b",".join(value for line, value in head.headers if line == name)


class Request:
    __slots__ = (
        "_exchange",
        "_facts",
        "deployment",
        "deployment_in_path",
        "endpoint",
        "header",
        "id",
        "limit_headers",
        "method",
        "path",
        "path_below",
    )

    def __init__(self, exchange: HttpExchange) -> None:
        head = exchange.head
        facts: _Facts | None = head.memo.get(_MEMO)
        if facts is None:
            facts = head.memo[_MEMO] = _Facts(head)
        self._facts = facts
        self._exchange = exchange
        self.method = head.method
        self.path = head.path
        self.endpoint = facts.endpoint
        self.path_below = facts.path_below
        """The path below the endpoint."""
        self.header = head.by_name.get
        """The value of a header, by its name in lower case."""
        self.id = next(_ids)
        self.deployment_in_path: str | None = None
        """The deployment in the path, in Open Inference."""
        self.deployment: str | None = None
        """The chosen deployment."""
        self.limit_headers: Headers = []
        """What is left of the key's limits, for an endpoint with limits."""

    @property
    def query(self) -> bytes:
        return self._exchange.head.query

    @property
    def accept_encoding(self) -> bytes | None:
        return self._facts.accept_encoding

    @property
    def content_encoding(self) -> bytes | None:
        return self._facts.content_encoding

    @property
    def named_deployment(self) -> str | None:
        return self._facts.named_deployment or self.deployment_in_path

    def tracing_headers(self) -> Headers:
        headers = [(b"x-request-id", self.id.encode()), *self.limit_headers]
        client_id = self._facts.client_id
        if client_id is not None:
            headers.append((b"x-ms-client-request-id", client_id))
        if self.deployment is not None:
            headers.append((b"azureml-model-deployment", self.deployment.encode()))
        return headers

    @property
    def may_have_large_body(self) -> bool:
        """Whether a body is worth a look at the deployment's queue before it is read."""
        return self._facts.may_have_large_body

    async def body(self, largest: int, share: BodyShare) -> bytes:
        """Return the whole body, and take its bytes from the budget.

        Raises BodyTooLarge beyond `largest` bytes, as early as the size is known, and BodiesFull.
        """
        announced = self._facts.body_bytes
        if announced is not None and announced > largest:
            raise BodyTooLarge(largest)
        exchange = self._exchange
        chunks: list[bytes] = []
        size = 0
        while True:
            chunk = await exchange.read()
            if chunk is None:
                raise ClientGone
            share.take(len(chunk))
            size += len(chunk)
            if size > largest:
                raise BodyTooLarge(largest)
            chunks.append(chunk)
            if exchange.is_body_complete:
                return chunk if len(chunks) == 1 else b"".join(chunks)


def _random_ids() -> Iterator[str]:
    """Yield random UUIDs (version 4) without end."""
    while True:
        digits = os.urandom(16 * _IDS_AT_ONCE).hex()
        for start in range(0, len(digits), 32):
            of = digits[start : start + 32]
            yield f"{of[:8]}-{of[8:12]}-4{of[13:16]}-{_VARIANTS[of[16]]}{of[17:20]}-{of[20:]}"


_ids = _random_ids()
