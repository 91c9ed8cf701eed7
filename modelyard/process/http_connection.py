"""An HTTP/1.1 connection for both ports of the platform: strict about what is valid, and with a limit for every part.

Built on httptools and asyncio's public interface. uvicorn creates a connection for each accepted socket, asks the
connection to shut down, and gives the date header; see docs/decisions/0011-own-http-protocol.md.

- A head with two readings is answered 400 and the connection ends: see `_checked_target`.
- The parts that a caller sends or reads have times: the headers, a body, a response, a pause between two requests.
- Requests of a pipeline are answered in order, one at a time; meanwhile the connection reads nothing.
- When the connections reach the limit, connections without a request make room, the longest idle ones first. When
  all have a request, a new one is answered 503, and the last few are for health checks of this machine.
"""

import asyncio
import heapq
import re
import sys
from collections import deque
from enum import Enum
from http import HTTPStatus
from typing import Any, ClassVar, Protocol
from urllib.parse import unquote

import httptools

from modelyard.process.eager_task import EagerTask
from modelyard.process.http_exchange import STATUS_LINES, Application, HttpExchange, RequestHead, Scope

_MAX_PIPELINED = 128
_LARGEST_JOINED_WRITE = 64 << 10
# Chunks of one byte have five bytes of framing each.
_FRAMING_PER_BYTE = 8
_HOST = re.compile(rb"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_ABSOLUTE_TARGET = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE)
_ENCODED_SLASH = re.compile(rb"%2f", re.IGNORECASE)
_FRAMING_HEADERS = frozenset({b"host", b"transfer-encoding", b"expect", b"upgrade"})
# A share, so that the connections kept for health checks and the idle ones that make room stay few.
_EVICTED_SHARE = 16
KEPT_FOR_HEALTH = 16
_MAX_KNOWN_HEADS = 512
_LARGEST_KNOWN_HEAD = 2 << 10
_HEALTH_SECONDS = 2.0


class HttpLimits(Protocol):
    """Sizes in bytes, times in seconds."""

    max_header_bytes: int
    max_headers: int
    header_seconds: float
    body_seconds: float
    min_body_bytes_per_second: int
    keep_alive_seconds: float
    linger_seconds: float
    idle_close_seconds: float


class _Part(Enum):
    """The part of a request that a connection waits for."""

    HEADERS = 1
    BODY = 2
    REST = 3
    """The rest of a body that was answered already."""


class _Refusal(Exception):
    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def _bad_request(message: str) -> _Refusal:
    return _Refusal(HTTPStatus.BAD_REQUEST, "BadRequest", message)


class HttpConnection(asyncio.Protocol):
    limits: ClassVar[HttpLimits]
    max_connections: ClassVar[int]
    health_paths: ClassVar[frozenset[str]]
    cancels_abandoned: ClassVar[bool]
    """Whether the task of a request whose caller hung up is cancelled. The application sees http.disconnect anyway."""
    starts_at_once: ClassVar[bool]
    """Whether a request with a known head is no asyncio task. The application must need no current task."""
    known_heads: ClassVar[dict[bytes, RequestHead]]
    """Heads that arrived twice in a row on a connection, by their bytes: a client sends the same head many times, and
    parsing and checking a head costs a tenth of a small request."""
    scheme: ClassVar[str] = "http"
    largest_write: int = sys.maxsize
    """Bytes of a body that one write may have. A longer body is written in pieces, as the caller reads."""
    # The default headers as last written: uvicorn makes a new list each second.
    _defaults: ClassVar[Any] = None
    _default_lines: ClassVar[bytes] = b""

    def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        """Called by uvicorn, with these names."""
        self._app: Application = config.loaded_app
        self._server = server_state
        self._app_state: dict[str, Any] = app_state
        self._loop: asyncio.AbstractEventLoop = _loop or asyncio.get_running_loop()
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._exchange: HttpExchange | None = None
        """The exchange being answered, or the last answered exchange."""
        self._arriving: HttpExchange | None = None
        """The exchange whose body arrives, or the exchange whose body arrived last."""
        self._pipeline: deque[HttpExchange] = deque()
        self._running: asyncio.Task[None] | EagerTask | None = None
        self._part: _Part | None = _Part.HEADERS
        """None: no part of a request is incomplete."""
        self._part_bytes = 0
        self._piece_bytes = 0
        """Size of the piece of data that is being parsed."""
        self._has_ended_message = False
        """Whether a request ended in the piece."""
        self._messages = 0
        """The number of requests that began in the piece."""
        self._window_bytes = 0
        """Bytes of the body since the rate was last checked."""
        self._framing_bytes = 0
        self._is_reading = True
        self._is_deaf = False
        """Whether further bytes are dropped: the connection ends with the last response."""
        self._is_lingering = False
        """Whether the last response was written, and the caller may still send."""
        self._is_shutting_down = False
        self._is_for_health = False
        self._writable: asyncio.Event | None = None
        """None: the caller reads fast enough."""
        self._unread_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timed_part: _Part | None = None
        """The incomplete part that the timer was set for."""
        self._stall_timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0
        self._checked_host: bytes | None = None
        self._last_head = b""
        """The bytes of the last head that could be known."""
        self._max_headers = self.limits.max_headers
        self._begin_head()

    def error_body(self, code: str, message: str) -> bytes:
        """The JSON body of an error that the connection answers."""
        raise NotImplementedError

    # From opening to closing.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._client = transport.get_extra_info("peername")
        self._server_address = transport.get_extra_info("sockname")
        self.idle_since = self._loop.time()
        if len(self._server.connections) >= self.max_connections and not self._has_room():
            return
        self._server.connections.add(self)
        self._time_part(_HEALTH_SECONDS if self._is_for_health else self.limits.header_seconds)

    def _has_room(self) -> bool:
        """Make room, or refuse the connection."""
        connections = self._server.connections
        if make_room(connections):
            return True
        if is_loopback(self._client) and len(connections) < self.max_connections + KEPT_FOR_HEALTH:
            self._is_for_health = True
            return True
        self._is_deaf = True
        self._write_error(HTTPStatus.SERVICE_UNAVAILABLE, "TooManyConnections", "too many connections are open")
        self._transport.close()
        return False

    @property
    def is_without_request(self) -> bool:
        """Whether no request has arrived that waits for an answer."""
        if self._is_lingering:
            return True
        return self._is_answered and self._part is not _Part.BODY and not self._is_for_health

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._is_deaf = True
        self.resume_writing()
        for exchange in (self._exchange, *self._pipeline):
            if exchange is not None:
                exchange.disconnect()
        self._pipeline.clear()
        if self.cancels_abandoned and self._running is not None and not self._is_answered:
            # A request of a caller that hung up leaves the queue.
            self._running.cancel()
        # The parser and the connection refer to each other.
        self._parser = None

    def shutdown(self) -> None:
        """Close after the next response. Closing at once would lose a request under way. Called by uvicorn."""
        self._is_shutting_down = True
        if self._is_answered:
            self._loop.call_later(self.limits.idle_close_seconds, self._close_if_idle)
        else:
            self._last_exchange.keep_alive = False

    def _close_if_idle(self) -> None:
        if self._is_answered:
            self._close()

    @property
    def _is_answered(self) -> bool:
        return self._exchange is None or self._exchange.is_complete

    @property
    def _last_exchange(self) -> HttpExchange:
        exchange = self._pipeline[-1] if self._pipeline else self._exchange
        assert exchange is not None, "the connection has an exchange"
        return exchange

    def _close(self) -> None:
        self._is_deaf = True
        self._transport.close()
        self._watch_reader()

    def _linger(self) -> None:
        """End the responses, and drop what the caller still sends: closing at once might lose the last response."""
        self._is_deaf = self._is_lingering = True
        if self._transport.is_closing():
            return
        self.idle_since = self._loop.time()
        self._end_sending()
        self._watch_reader()
        self._set_timer(self.limits.linger_seconds)
        self.resume_reading()

    def _end_sending(self) -> None:
        """End the sending side after the written bytes; the caller may still send."""
        self._transport.write_eof()

    def abort(self) -> None:
        self._is_deaf = True
        self._transport.abort()

    # Bytes from the caller.

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        is_between_requests = self._part is None and self._is_answered and not self._is_for_health
        head_end = data.find(b"\r\n\r\n") + 4 if is_between_requests else 0
        if 4 <= head_end <= _LARGEST_KNOWN_HEAD:
            known = self.known_heads.get(data[:head_end])
            if known is not None and len(data) - head_end == known.body_bytes:
                # The parser is between two messages, and would come to the same result.
                self._start_whole(known, data[head_end:])
                return
        size = self._piece_bytes = len(data)
        self._framing_bytes += size
        self._has_ended_message = False
        self._messages = 0
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, _Refusal) else _bad_request("the request is not valid HTTP/1.1"))
            return
        part = self._part
        if part is None or self._is_deaf:
            if 4 <= head_end <= _LARGEST_KNOWN_HEAD:
                self._note_head(data, head_end)
            return
        if part is _Part.HEADERS:
            if not self._has_ended_message:
                # Otherwise only an unknown part of the piece belongs to this head.
                self._part_bytes += size
            if self._part_bytes > self.limits.max_header_bytes:
                self._fail(_headers_too_large())
                return
        elif self._framing_bytes > self.limits.max_header_bytes:
            self._fail(_bad_request("the body has too much besides its content: chunk extensions or trailers"))
            return
        self._window_bytes += size
        if self._timed_part is not part:
            self._time_part()

    def _start_whole(self, head: RequestHead, body: bytes) -> None:
        exchange = HttpExchange(self, head, keep_alive=not self._is_shutting_down)
        exchange.whole_body_arrived(body)
        self._arriving = exchange
        if not self.starts_at_once:
            self._start(exchange)
            return
        self._exchange = exchange
        tasks = self._server.tasks
        task = self._running = EagerTask(exchange.run(self._app), tasks.discard)
        tasks.add(task)
        task.step()

    def _note_head(self, data: bytes, head_end: int) -> None:
        """Remember the head of a request that came as one piece of data, the second time."""
        assert self._arriving is not None, "a request has arrived"
        head = self._arriving.head
        if self._messages != 1 or not head.is_plain or len(data) - head_end != head.body_bytes:
            return
        sent = data[:head_end]
        if sent != self._last_head:
            # Heads with an id of the request never come again.
            self._last_head = sent
            return
        if len(self.known_heads) >= _MAX_KNOWN_HEADS:
            self.known_heads.clear()
        self.known_heads[sent] = head

    def _parse(self, data: bytes | memoryview) -> None:
        """Feed the parser. Offers of other protocols (HTTP/2, websockets) are ignored: Java's client sends an offer
        with each request. The parser takes all bytes behind an offer, the body too, for the offered protocol. So the
        parser gets the head again, without the offer."""
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                self._parser.feed_data(self._head_without_offer())
                data = memoryview(data)[offer.args[0] :]

    def _head_without_offer(self) -> bytes:
        lines = [b"%b %b HTTP/%b" % (self._parser.get_method(), self._url, self._parser.get_http_version().encode())]
        lines += [b"%b: %b" % (name, value) for name, value in self._headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def eof_received(self) -> None:
        """asyncio closes the connection: a caller that closes only the sending side counts as hanging up."""

    # Callbacks of the parser.

    def _begin_head(self) -> None:
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._hosts = 0
        self._codings = 0
        self._wants_continue = False
        self._offers_upgrade = False

    def on_message_begin(self) -> None:
        if len(self._pipeline) >= _MAX_PIPELINED:
            raise _bad_request("too many requests are in the pipeline")
        self._begin_head()
        self._messages += 1
        self._part = _Part.HEADERS
        self._part_bytes = 1

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._part is not _Part.HEADERS:
            # A trailer, behind a chunked body.
            return
        name = name.lower()
        if name in _FRAMING_HEADERS:
            self._check_framing(name, value)
        if len(self._headers) >= self._max_headers:
            raise _headers_too_large()
        self._headers.append((name, value))

    def _check_framing(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
            if value != self._checked_host:
                if not _HOST.fullmatch(value):
                    raise _bad_request("the Host header is not a host name with an optional port")
                self._checked_host = value
        elif name == b"transfer-encoding":
            self._codings += 1
            if value.lower() != b"chunked" or self._codings > 1:
                raise _bad_request("Transfer-Encoding must be 'chunked'")
        elif name == b"expect":
            self._wants_continue = value.lower() == b"100-continue"
        else:
            self._offers_upgrade = True

    def on_headers_complete(self) -> None:
        parser = self._parser
        method = parser.get_method()
        if method == b"CONNECT":
            raise _bad_request("this server is not a proxy: CONNECT is refused")
        if self._offers_upgrade and parser.should_upgrade():
            return
        version = parser.get_http_version()
        self._check_head(version)
        path, query = self._checked_target(method)
        by_name = dict(self._headers)
        is_kept = version == "1.1" and parser.should_keep_alive()
        head = RequestHead(
            method=method.decode(),
            path=unquote(path) if "%" in path else path,
            raw_path=path.encode(),
            query=query,
            http_version=version,
            headers=self._headers,
            by_name=by_name,
            body_bytes=int(by_name.get(b"content-length", 0)),
            is_plain=is_kept and not (self._codings or self._wants_continue or self._offers_upgrade),
            memo={},
        )
        if self._is_for_health and head.path not in self.health_paths:
            raise _Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "TooManyConnections", "too many connections are open")
        self._part = _Part.BODY
        self._part_bytes = 0
        self._framing_bytes = self._window_bytes = 0
        self._timed_part = None
        exchange = HttpExchange(
            self,
            head,
            keep_alive=is_kept and not (self._is_shutting_down or self._is_for_health),
            wants_continue=self._wants_continue,
        )
        self._arriving = exchange
        if self._is_answered:
            self._start(exchange)
        else:
            self._pause_reading()
            self._pipeline.append(exchange)

    def _check_head(self, version: str) -> None:
        limits = self.limits
        if self._part_bytes + self._piece_bytes > limits.max_header_bytes:
            lines = sum(len(name) + len(value) + len(b": \r\n") for name, value in self._headers)
            if len(self._url) + lines > limits.max_header_bytes:
                raise _headers_too_large()
        if version == "1.1":
            if self._hosts != 1:
                raise _bad_request(f"a request has one Host header, not {self._hosts}")
        elif version != "1.0":
            raise _bad_request(f"the server speaks HTTP/1.1, not HTTP/{version}")
        elif self._hosts > 1 or self._codings:
            raise _bad_request("an HTTP/1.0 request has one Host header at most, and no Transfer-Encoding")

    def _checked_target(self, method: bytes) -> tuple[str, bytes]:
        """Return the path, percent-encoded, and the query. Raises _Refusal for a target with two readings."""
        url = self._url
        if not url.startswith(b"/"):
            if url == b"*" and method == b"OPTIONS":
                return "*", b""
            absolute = _ABSOLUTE_TARGET.fullmatch(url)
            if absolute is None or (self._hosts and absolute[1] != self._checked_host):
                raise _bad_request("the request target must be a path, or a URL of the host in the Host header")
            url = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
        path, _, query = url.partition(b"#")[0].partition(b"?")
        if b"%" in path and _ENCODED_SLASH.search(path):
            raise _bad_request("the path has an encoded slash (%2f): names have none")
        # Raises for bytes beyond ASCII, and the parser reports an invalid request.
        return path.decode("ascii"), query

    def on_body(self, body: bytes) -> None:
        framing = self._framing_bytes - len(body) * (1 + _FRAMING_PER_BYTE)
        self._framing_bytes = max(0, framing)
        if self._arriving is not None and not self._arriving.body_arrived(body):
            self._pause_reading()

    def on_message_complete(self) -> None:
        if self._part is _Part.HEADERS:
            # The parser saw an offer, and gets the head again.
            return
        self._part = self._timed_part = None
        self._has_ended_message = True
        if self._arriving is not None:
            self._arriving.body_ended()

    # Requests and responses.

    def _start(self, exchange: HttpExchange) -> None:
        self._exchange = exchange
        task = self._running = self._loop.create_task(exchange.run(self._app))
        tasks: set[asyncio.Task[None]] = self._server.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def asgi_scope(self) -> Scope:
        return {
            "scheme": self.scheme,
            "server": self._server_address,
            "client": self._client,
            "state": self._app_state.copy(),
        }

    def write(self, head: bytes, body: bytes) -> None:
        if len(body) > _LARGEST_JOINED_WRITE:
            # A copy would cost more than the second buffer.
            self._transport.writelines([head, body])
        else:
            self._transport.write(head + body)

    def default_headers(self) -> bytes:
        headers = self._server.default_headers
        if headers is not self._defaults:
            of_server = type(self)
            of_server._default_lines = b"".join([b"%b: %b\r\n" % (name, value) for name, value in headers])
            of_server._defaults = headers
        return self._default_lines

    def response_ended(self, exchange: HttpExchange) -> None:
        if self._transport.is_closing():
            return
        if not exchange.keep_alive:
            if exchange.is_body_complete and not self._is_deaf:
                self._close()
            else:
                self._linger()
            return
        if self._part is _Part.BODY and self._arriving is exchange:
            self._part = _Part.REST
            self._time_part()
        now = self.idle_since = self._loop.time()
        if not self._is_reading:
            self.resume_reading()
        if self._pipeline:
            self._start(self._pipeline.popleft())
        elif self._part is None and (self._timer is None or self._timer.when() > now + self.limits.keep_alive_seconds):
            self._set_timer(self.limits.keep_alive_seconds)

    # Times. Most requests arrive in one piece and set no timer: a timer that ends finds out what it is for.

    def _time_part(self, seconds: float | None = None) -> None:
        self._timed_part = self._part
        self._window_bytes = 0
        self._set_timer(self._seconds_of_part() if seconds is None else seconds)

    def _seconds_of_part(self) -> float:
        match self._part:
            case _Part.HEADERS:
                return self.limits.header_seconds
            case _Part.BODY:
                return self.limits.body_seconds
            case _:
                return self.limits.linger_seconds

    def _set_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._is_lingering:
            self._end_lingering()
        elif self._is_deaf:
            # The last response is still to come.
            return
        elif self._part is None:
            self._check_idle()
        elif self._timed_part is not self._part or self._is_waiting_for_server:
            self._time_part()
        else:
            self._part_is_late(self._part)

    def _end_lingering(self) -> None:
        if self._unsent_bytes():
            self._set_timer(self.limits.linger_seconds)
        else:
            self._transport.abort()

    def _check_idle(self) -> None:
        if not self._is_answered:
            return
        remaining = self.idle_since + self.limits.keep_alive_seconds - self._loop.time()
        if remaining > 0:
            self._set_timer(remaining)
        else:
            self._close()

    @property
    def _is_waiting_for_server(self) -> bool:
        """Whether the sender waits for the server: for an earlier response, or because the server reads slowly."""
        return not self._is_reading or (self._part is _Part.HEADERS and not self._is_answered)

    def _part_is_late(self, part: _Part) -> None:
        if part is _Part.HEADERS:
            if self._part_bytes:
                self._fail(_Refusal(HTTPStatus.REQUEST_TIMEOUT, "HeaderTimeout", "the headers did not arrive in time"))
            else:
                self._close()
        elif part is _Part.REST:
            self._linger()
        elif self._window_bytes >= self.limits.min_body_bytes_per_second * self.limits.body_seconds:
            self._time_part()
        else:
            rate = self.limits.min_body_bytes_per_second
            message = f"the body did not arrive in time: send at least {rate} bytes a second"
            self._fail(_Refusal(HTTPStatus.REQUEST_TIMEOUT, "BodyTimeout", message))

    # Errors without the application.

    def refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        self._pipeline.clear()
        self._end_with_error(status, code, message)

    def _fail(self, refusal: _Refusal) -> None:
        """End the connection for what arrived last. Earlier complete requests are answered first."""
        self._is_deaf = True
        if self._transport.is_closing():
            return
        exchange = self._exchange
        if exchange is None or exchange.is_complete:
            if self._part is _Part.REST:
                self._linger()
            else:
                self._end_with_error(refusal.status, refusal.code, refusal.message)
        elif exchange.is_body_complete:
            if self._pipeline and not self._pipeline[-1].is_body_complete:
                self._pipeline.pop()
            self._last_exchange.keep_alive = False
            self._pause_reading()
        elif exchange.has_started:
            self.abort()
        else:
            exchange.disconnect()
            if self.cancels_abandoned and self._running is not None:
                self._running.cancel()
            self._end_with_error(refusal.status, refusal.code, refusal.message)

    def _end_with_error(self, status: HTTPStatus, code: str, message: str) -> None:
        self._write_error(status, code, message)
        self._linger()

    def _write_error(self, status: HTTPStatus, code: str, message: str) -> None:
        if self._transport.is_closing():
            return
        body = self.error_body(code, message)
        retry = b"retry-after: 1\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else b""
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n%b\r\n"
        self._transport.write(STATUS_LINES[status] + self.default_headers() + head % (len(body), retry) + body)

    # Back pressure.

    def _pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._is_reading and not self._transport.is_closing():
            self._is_reading = True
            self._transport.resume_reading()

    @property
    def is_write_paused(self) -> bool:
        return self._writable is not None

    def body_taken(self) -> None:
        """The application has taken the body that arrived: read on, unless later requests wait."""
        if not self._pipeline:
            self.resume_reading()

    async def drain(self) -> None:
        while self._writable is not None:
            await self._writable.wait()

    def pause_writing(self) -> None:
        self._writable = asyncio.Event()
        self._watch_reader()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set()
            self._writable = None
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None

    def _unsent_bytes(self) -> int:
        """Written bytes that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    def _watch_reader(self) -> None:
        """Begin to compare the rate at which the caller reads a response with the least rate."""
        self._unread_bytes = self._unsent_bytes()
        if self._unread_bytes and self._stall_timer is None:
            self._stall_timer = self._loop.call_later(self.limits.body_seconds, self._check_reader)

    def _check_reader(self) -> None:
        self._stall_timer = None
        unread = self._unsent_bytes()
        least = self.limits.min_body_bytes_per_second * self.limits.body_seconds
        if unread and self._unread_bytes - unread < least:
            self._transport.abort()
        else:
            self._watch_reader()


def _headers_too_large() -> _Refusal:
    return _Refusal(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "HeadersTooLarge", "the headers are too large, or too many"
    )


class _IdleConnection(Protocol):
    """A connection, or a TLS handshake before it."""

    @property
    def is_without_request(self) -> bool: ...

    @property
    def idle_since(self) -> float: ...

    def abort(self) -> None: ...


def make_room(connections: set[_IdleConnection]) -> bool:
    """Close a share of the connections without a request, the longest idle ones first. False: there is none."""
    idle = [connection for connection in connections if connection.is_without_request]
    if not idle:
        return False
    share = max(1, len(idle) // _EVICTED_SHARE)
    for connection in heapq.nsmallest(share, idle, key=lambda each: each.idle_since):
        connections.discard(connection)
        connection.abort()
    return True


def is_loopback(client: Any) -> bool:
    host = client[0] if isinstance(client, tuple) else ""
    return host.startswith(("127.", "::ffff:127.")) or host == "::1"
