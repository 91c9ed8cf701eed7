"""A uvicorn server under the supervisor: serves inherited sockets until a stop signal or the supervisor's death.

uvicorn accepts connections and counts down to the shutdown; `http_connection.py` speaks HTTP.
"""

import asyncio
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import uvicorn

from modelyard.process.http_connection import HttpConnection, HttpLimits
from modelyard.process.http_exchange import Application, RequestHead
from modelyard.process.lifeline import when_cut
from modelyard.process.tls_connection import TlsConnection, TlsHandshake
from modelyard.process.tls_context import server_context

_EVENT_LOOP_TURNS = 3
# The next supervisor waits 15 s for the processes of a killed supervisor.
_ORPHAN_GRACE_SECONDS = 8


# The rest is for files, the database, model workers, and connections that are accepted before a refusal closes them.
_SHARE_FOR_CONNECTIONS = 0.8


class TlsFiles(Protocol):
    @property
    def certificate(self) -> str | None: ...

    @property
    def key(self) -> str | None: ...

    @property
    def handshake_seconds(self) -> float: ...


class ServerLimits(HttpLimits, Protocol):
    max_connections: int
    shutdown_seconds: int


@dataclass(frozen=True, slots=True)
class TlsPort:
    listener: socket.socket
    context: ssl.SSLContext
    handshake_seconds: float


def tls_port(fd: int, files: TlsFiles) -> TlsPort:
    """The port of an inherited listening socket. Raises OSError for files without a certificate and its key."""
    context = server_context(Path(files.certificate or ""), Path(files.key or ""))
    return TlsPort(socket.socket(fileno=fd), context, files.handshake_seconds)


class SupervisedServer(uvicorn.Server):
    def __init__(
        self,
        app: Application,
        wanted: ServerLimits,
        *,
        error: Callable[[str, str], bytes],
        health: frozenset[str],
        cancel_abandoned: bool,
        without_tasks: bool,
    ) -> None:
        """`error` makes the body of an error that the connection itself answers, and `health` are paths that are
        answered when all connections are taken. `cancel_abandoned`: cancel the task of a caller that hung up.
        `without_tasks`: the application needs no asyncio task, and takes less time without.
        """

        class LimitedConnection(HttpConnection):
            limits = wanted
            max_connections = min(wanted.max_connections, _connections_of_descriptors())
            health_paths = health
            cancels_abandoned = cancel_abandoned
            starts_at_once = without_tasks
            known_heads: ClassVar[dict[bytes, RequestHead]] = {}

            def error_body(self, code: str, message: str) -> bytes:
                return error(code, message)

        self._plain_class = LimitedConnection
        self._tls_port: TlsPort | None = None
        super().__init__(
            uvicorn.Config(
                app,
                # Otherwise uvicorn inspects the application. Only the connection calls it.
                interface="asgi3",
                http=LimitedConnection,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=wanted.shutdown_seconds,
            )
        )

    def serve_tls(self, port: TlsPort) -> None:
        """Serve a port over TLS, too. Called before the start."""
        self._tls_port = port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._tls_port is not None:
            make = self._handshakes(self._tls_port)
            loop = asyncio.get_running_loop()
            server = await loop.create_server(make, sock=self._tls_port.listener, backlog=self.config.backlog)
            self.servers.append(server)

    def _handshakes(self, port: TlsPort) -> Callable[[], TlsHandshake]:
        """A function that makes the protocol of an accepted connection."""
        loop = asyncio.get_running_loop()

        class LimitedTlsConnection(TlsConnection, self._plain_class):  # type: ignore[misc, name-defined]
            known_heads: ClassVar[dict[bytes, RequestHead]] = {}

        class LimitedHandshake(TlsHandshake):
            context = port.context
            handshake_seconds = port.handshake_seconds
            connection_class = LimitedTlsConnection

        return lambda: LimitedHandshake(self.config, self.server_state, {}, loop)

    async def serve_until_stopped(self, listener: socket.socket, lifeline_fd: int | None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        if lifeline_fd is not None:
            when_cut(lifeline_fd, lambda: loop.call_soon_threadsafe(self._orphaned))
        await self.serve(sockets=[listener])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        # Let just accepted connections get a protocol: the shutdown must reach all connections.
        for _ in range(_EVENT_LOOP_TURNS):
            await asyncio.sleep(0)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Keep uvicorn from raising the stop signal again after the shutdown: the exit code must be 0."""
        yield

    def _orphaned(self) -> None:
        """Stop with little time for requests: the next supervisor waits for the end of this process."""
        given = self.config.timeout_graceful_shutdown or 0
        self.config.timeout_graceful_shutdown = min(given, _ORPHAN_GRACE_SECONDS)
        self.stop()

    def stop(self) -> None:
        self.should_exit = True


def _connections_of_descriptors() -> int:
    """The connections that the descriptors of the process suffice for. Raises the soft limit to the hard limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return sys.maxsize
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return int(most * _SHARE_FOR_CONNECTIONS)
