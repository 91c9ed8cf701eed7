"""An HTTP/1.1 connection over TLS, and the handshake before it.

uvloop's own TLS server tells its protocol nothing before the handshake has ended. Here a handshake is one of the
server's connections from the first moment, so that the limit of connections counts the handshake, and the shutdown
reaches it. The TLS layer, which takes 50 KB, begins with the first byte of the client.

A connection over TLS differs from a plain connection in three points:

- The bytes that the caller has not read are in two buffers, the TLS layer's and the socket's.
- TLS has no half-closed connection: after the last response the TLS layer drops what the caller still sends.
- A long body is written in pieces, because the TLS layer encrypts a write as a whole, in memory.
"""

import asyncio
import re
import ssl
from http import HTTPStatus
from typing import Any, ClassVar

from modelyard.process.eager_task import EagerTask
from modelyard.process.http_connection import KEPT_FOR_HEALTH, HttpConnection, is_loopback, make_room
from modelyard.process.http_exchange import STATUS_LINES

_LARGEST_WRITE = 256 << 10
_WRITE_BUFFER_BYTES = 64 << 10
_PIECE_BYTES = 64 << 10
_FIRST_BYTE_OF_TLS = 0x16
_PLAIN_HTTP = re.compile(rb"[A-Z]+ ")


class TlsConnection(HttpConnection):
    """Gets its transport from a TlsHandshake."""

    scheme = "https"
    largest_write = _LARGEST_WRITE
    _socket: asyncio.Transport
    """The transport below the TLS layer."""

    def handshake_ended(self, below: asyncio.Transport, transport: asyncio.Transport) -> None:
        self._socket = below
        transport.set_write_buffer_limits(_WRITE_BUFFER_BYTES)
        self.connection_made(transport)

    def _unsent_bytes(self) -> int:
        return super()._unsent_bytes() + self._socket.get_write_buffer_size()

    def _close(self) -> None:
        super()._close()
        if not super()._unsent_bytes():
            # TLS's own end of the connection is written. A caller with a pool of connections may never answer it.
            self._socket.close()

    def _end_sending(self) -> None:
        self._transport.close()


class TlsHandshake(asyncio.Protocol):
    """Becomes a TlsConnection, or is cut after `handshake_seconds`. Counts as an idle connection meanwhile."""

    context: ClassVar[ssl.SSLContext]
    handshake_seconds: ClassVar[float]
    connection_class: ClassVar[type[TlsConnection]]
    is_without_request = True

    def __init__(self, config: Any, server_state: Any, app_state: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._config, self._app_state = config, app_state
        self._server = server_state
        self._loop = loop
        self._transport: asyncio.Transport
        self._is_shutting_down = False
        self._timer: asyncio.TimerHandle | None = None
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self.idle_since = self._loop.time()
        connections, most = self._server.connections, self.connection_class.max_connections
        if len(connections) >= most and not make_room(connections):
            client = transport.get_extra_info("peername")
            if not (is_loopback(client) and len(connections) < most + KEPT_FOR_HEALTH):
                # A response would cost a handshake.
                transport.abort()
                return
        connections.add(self)
        self._timer = self._loop.call_later(self.handshake_seconds, self.abort)

    def data_received(self, data: bytes) -> None:
        """The first bytes of the client."""
        self._stop_timer()
        if data[0] != _FIRST_BYTE_OF_TLS:
            self._refuse(data)
            return
        # At once: the task makes the TLS layer the protocol of the transport.
        EagerTask(self._shake(), lambda _: None).step()
        layer: Any = self._transport.get_protocol()
        for at in range(0, len(data), _PIECE_BYTES):
            piece = data[at : at + _PIECE_BYTES]
            layer.get_buffer(len(piece))[: len(piece)] = piece
            layer.buffer_updated(len(piece))

    def _refuse(self, data: bytes) -> None:
        if not _PLAIN_HTTP.match(data):
            self.abort()
            return
        body = self._make_http().error_body("PlainHttp", "this port speaks HTTP over TLS: begin the URL with https://")
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self._transport.write(STATUS_LINES[HTTPStatus.BAD_REQUEST] + head % len(body) + body)
        self._transport.close()

    async def _shake(self) -> None:
        http = self._make_http()
        limits = http.limits
        try:
            transport = await self._loop.start_tls(
                self._transport,
                http,
                self.context,
                server_side=True,
                ssl_handshake_timeout=self.handshake_seconds,
                # The rest of a response, which a slow caller still reads, is in the buffers.
                ssl_shutdown_timeout=max(limits.body_seconds, limits.linger_seconds),
            )
        except OSError:
            # A client that speaks no TLS, or refuses the certificate, or is too slow.
            return
        finally:
            self._server.connections.discard(self)
        if transport is None or transport.is_closing():
            return
        http.handshake_ended(self._transport, transport)
        if self._is_shutting_down:
            http.shutdown()

    def _make_http(self) -> TlsConnection:
        return self.connection_class(self._config, self._server, self._app_state, self._loop)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left before the TLS layer began."""
        self._stop_timer()
        self._server.connections.discard(self)

    def shutdown(self) -> None:
        """Let the handshake end soon: a request may be on the way. Called by uvicorn."""
        self._is_shutting_down = True
        self._loop.call_later(self.connection_class.limits.idle_close_seconds, self._give_up)

    def _give_up(self) -> None:
        if self in self._server.connections:
            self.abort()

    def abort(self) -> None:
        self._transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
