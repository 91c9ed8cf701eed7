"""A uvicorn server under the supervisor: serves an inherited socket until a stop signal or the supervisor's death."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from modelyard.process.lifeline import when_cut

_EVENT_LOOP_TURNS = 3
# The next supervisor waits 15 s for the processes of a killed supervisor.
_ORPHAN_GRACE_SECONDS = 8


class SupervisedServer(uvicorn.Server):
    def __init__(self, app: Any, *, http: Any, keep_alive_seconds: int, grace_seconds: int) -> None:
        """`http` is a protocol class or its name in uvicorn; requests under way get `grace_seconds` at a stop."""
        super().__init__(
            uvicorn.Config(
                app,
                http=http,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=keep_alive_seconds,
                timeout_graceful_shutdown=grace_seconds,
            )
        )

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
