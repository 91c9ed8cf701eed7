"""One HTTP request and its response, between a connection and an application.

An application reads the body and writes a response by the exchange itself, or by the messages of ASGI, which cost a
small request several dictionaries and calls. A response leaves in as few writes as possible: the head waits for the
first part of the body, because two writes would wake the caller twice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol

_log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Any, Receive, Send], Awaitable[None]]
Application = Callable[["HttpExchange"], Coroutine[Any, Any, None]]
HeaderLines = Sequence[tuple[bytes, bytes]]

MAX_BUFFERED_BODY = 64 << 10
"""Bytes of a request body that wait for the application. Beyond, the connection reads nothing more."""

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
_CONTINUE = STATUS_LINES[100] + b"\r\n"
_LENGTH = b"\r\ncontent-length: "
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class RequestHead(NamedTuple):
    """The request line and the headers. Shared by all requests with the same bytes, so that nothing may change it."""

    method: str
    path: str
    """Without percent-encoding."""
    raw_path: bytes
    query: bytes
    http_version: str
    headers: HeaderLines
    """With names in lower case."""
    by_name: dict[bytes, bytes]
    """The last line of each name."""
    body_bytes: int
    """Length of the body by `content-length`; 0 without one."""
    is_plain: bool
    """Whether the body follows at once, as it is, and the connection stays open: no chunks, `expect` or `upgrade`."""
    memo: dict[str, Any]
    """What an application has derived from the head."""


class Connection(Protocol):
    """The side of a connection that an exchange sees."""

    def asgi_scope(self) -> Scope:
        """Return the part of a scope that belongs to the connection."""

    @property
    def largest_write(self) -> int:
        """The largest write of a body, in bytes."""

    @property
    def is_write_paused(self) -> bool: ...

    def write(self, head: bytes, body: bytes) -> None: ...

    def default_headers(self) -> bytes: ...

    def body_taken(self) -> None: ...

    async def drain(self) -> None:
        """Wait until the caller has read enough, or is gone."""

    def refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        """Answer the exchange without the application, and close."""

    def response_ended(self, exchange: "HttpExchange") -> None: ...

    def abort(self) -> None: ...


class HttpExchange:
    __slots__ = (
        "_body_left",
        "_buffered",
        "_connection",
        "_has_news",
        "_is_chunked",
        "_pieces",
        "_start",
        "_waiter",
        "_wants_continue",
        "has_started",
        "head",
        "is_body_complete",
        "is_complete",
        "is_disconnected",
        "keep_alive",
    )

    def __init__(
        self, connection: Connection, head: RequestHead, *, keep_alive: bool, wants_continue: bool = False
    ) -> None:
        self.head = head
        self.keep_alive = keep_alive
        self.is_body_complete = False
        self.has_started = False
        """Whether the head of the response was written."""
        self.is_complete = False
        """Whether the whole response was written."""
        self.is_disconnected = False
        self._connection = connection
        self._wants_continue = wants_continue
        self._pieces: list[bytes] = []
        self._buffered = 0
        self._has_news = False
        """Whether bytes, or the end, of the body have arrived since the last `receive`."""
        self._waiter: asyncio.Future[None] | None = None
        self._start: Message | None = None
        self._is_chunked = False
        self._body_left: int | None = None
        """Bytes of the response's body still to come. None: unknown."""

    async def run(self, app: Application) -> None:
        try:
            await app(self)
        except asyncio.CancelledError:
            self._end_early("ServerStops", "the server stops: send the request again")
        except Exception:  # noqa: BLE001 - the caller gets an answer, and the log the traceback
            _log.exception("%s %s failed", self.head.method, self.head.path)
            self._end_early("InternalError", "the server failed; its log says why")
        else:
            if not self.is_complete and not self.is_disconnected:
                _log.error("%s %s got no complete response", self.head.method, self.head.path)
                self._end_early("InternalError", "the server sent no complete response")

    def _end_early(self, code: str, message: str) -> None:
        if self.is_complete or self.is_disconnected:
            return
        if self.has_started:
            self._connection.abort()
            return
        status = HTTPStatus.SERVICE_UNAVAILABLE if code == "ServerStops" else HTTPStatus.INTERNAL_SERVER_ERROR
        self.has_started = self.is_complete = True
        self._connection.refuse(status, code, message)

    # The request's body, from the connection.

    def body_arrived(self, piece: bytes) -> bool:
        """Keep a piece for the application. Returns False when the connection should pause."""
        if self.is_complete:
            return True
        self._pieces.append(piece)
        self._buffered += len(piece)
        self._notify()
        return self._buffered <= MAX_BUFFERED_BODY

    def whole_body_arrived(self, body: bytes) -> None:
        """Keep the body of a request that arrived in one piece, before the application starts."""
        self._pieces.append(body)
        self._has_news = self.is_body_complete = True

    def body_ended(self) -> None:
        self.is_body_complete = True
        self._notify()

    def disconnect(self) -> None:
        if not self.is_complete:
            self.is_disconnected = True
        self._wake()

    def _notify(self) -> None:
        self._has_news = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # For the application.

    async def read(self) -> bytes | None:
        """Return the bytes of the body that arrived since the last call; wait for some. None: the caller is gone.

        `is_body_complete` tells whether more will follow.
        """
        if self._wants_continue:
            self._wants_continue = False
            if not self.has_started and not self.is_disconnected:
                self._connection.write(_CONTINUE, b"")
        while not (self._has_news or self.is_disconnected or self.is_complete):
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self.is_complete or not self._has_news:
            return None
        # Bytes that arrived before the caller left are delivered first: an upload is continued behind them.
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._pieces, self._buffered, self._has_news = [], 0, False
        self._connection.body_taken()
        return body

    async def respond(self, status: int, headers: HeaderLines, body: bytes) -> None:
        """Write a whole response. `headers` have no `content-length`. Raises RuntimeError for a line break in them."""
        connection = self._connection
        if connection.is_write_paused and not self.is_disconnected:
            # A caller with a pipeline, or with a long response, does not read.
            await connection.drain()
        if self.is_disconnected:
            return
        lines = _lines(headers)
        end = b"content-length: %d\r\n\r\n" if self.keep_alive else b"connection: close\r\ncontent-length: %d\r\n\r\n"
        head = b"".join((STATUS_LINES[status], connection.default_headers(), lines, end % len(body)))
        self.has_started = True
        self._wants_continue = False
        content = b"" if self.head.method == "HEAD" else body
        if len(content) > connection.largest_write:
            head, content = await self._write_but_the_last_piece(head, content)
            if self.is_disconnected:
                return
        self.is_complete = True
        connection.write(head, content)
        connection.response_ended(self)

    async def _write_but_the_last_piece(self, head: bytes, body: bytes) -> tuple[bytes, bytes]:
        """Write the pieces of a long body as the caller reads. Returns the rest, for the last write.

        A TLS transport encrypts a write as a whole, in memory.
        """
        connection, at = self._connection, 0
        while len(body) - at > connection.largest_write and not self.is_disconnected:
            connection.write(head, body[at : at + connection.largest_write])
            head, at = b"", at + connection.largest_write
            if connection.is_write_paused:
                await connection.drain()
        return head, body[at:]

    # ASGI.

    def scope(self) -> Scope:
        head = self.head
        return {
            **self._connection.asgi_scope(),
            "type": "http",
            "asgi": _ASGI,
            "http_version": head.http_version,
            "root_path": "",
            "method": head.method,
            "path": head.path,
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": list(head.headers),
        }

    async def receive(self) -> Message:
        body = await self.read()
        if body is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": not self.is_body_complete}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._start is None:
            self._start = message
            return
        if message["type"] != "http.response.body" or self._start is None or self.is_complete:
            raise RuntimeError(f"a response is one start message, then body messages, not {message['type']!r} here")
        if self._connection.is_write_paused and not self.is_disconnected:
            # A caller with a pipeline, or with a long response, does not read.
            await self._connection.drain()
        if self.is_disconnected:
            return
        body: bytes = message.get("body", b"")
        is_last = not message.get("more_body", False)
        head = b"" if self.has_started else self._head(self._start)
        part = self._framed(body, is_last=is_last)
        self.has_started = True
        self._wants_continue = False
        if len(part) > self._connection.largest_write:
            head, part = await self._write_but_the_last_piece(head, part)
            if self.is_disconnected:
                return
        if head or part:
            self._connection.write(head, part)
        if is_last:
            self.is_complete = True
            self._wake()
            self._connection.response_ended(self)

    def _head(self, start: Message) -> bytes:
        lines = _lines(list(start.get("headers", ())))
        status = start["status"]
        # Header names are lower-case in ASGI.
        head = b"%b%b%b" % (STATUS_LINES[status], self._connection.default_headers(), lines)
        if b"\r\nconnection: close\r\n" in head:
            self.keep_alive = False
        elif not self.keep_alive:
            head += b"connection: close\r\n"
        if self.head.method == "HEAD" or status in _WITHOUT_BODY:
            self._body_left = 0
            self._is_chunked = False
            return head + b"\r\n"
        at = head.find(_LENGTH)
        if at >= 0:
            self._body_left = int(head[at + len(_LENGTH) : head.index(b"\r\n", at + 2)])
        elif self.head.http_version == "1.0":
            # HTTP/1.0 knows no chunks: the end of the connection ends the body.
            self.keep_alive = False
        else:
            self._is_chunked = True
            if b"\r\ntransfer-encoding: " not in head:
                head += b"transfer-encoding: chunked\r\n"
        return head + b"\r\n"

    def _framed(self, body: bytes, *, is_last: bool) -> bytes:
        """Return the bytes that carry a part of the body. Raises RuntimeError for a body of another length."""
        if self._is_chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk + b"0\r\n\r\n" if is_last else chunk
        if self._body_left is None:
            return body
        if self.head.method == "HEAD":
            return b""
        self._body_left -= len(body)
        if self._body_left < 0 or (is_last and self._body_left):
            raise RuntimeError("the body of a response has another length than its content-length")
        return body


def _lines(headers: HeaderLines) -> bytes:
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if not lines.count(b"\r") == lines.count(b"\n") == len(headers) or b"\0" in lines:
        raise RuntimeError(f"a header has a line break or a zero byte in its name or value: {headers}")
    return lines


def asgi_application(app: AsgiApp) -> Application:
    async def application(exchange: HttpExchange) -> None:
        await app(exchange.scope(), exchange.receive, exchange.send)

    return application
