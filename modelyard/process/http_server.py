"""A uvicorn server under the supervisor: on a socket that it bound, until told to stop or until it is gone."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from modelyard.process.lifeline import when_cut

_TURNS = 3
_ORPHAN_GRACE_SECONDS = 8


class SupervisedServer(uvicorn.Server):
    def __init__(self, app: Any, *, http: Any, keep_alive_seconds: int, grace_seconds: int) -> None:
        """`http` is uvicorn's: the name of a protocol class, or the class."""
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

    async def serve_until_told(self, listener: socket.socket, lifeline_fd: int | None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        if lifeline_fd is not None:
            when_cut(lifeline_fd, lambda: loop.call_soon_threadsafe(self._orphaned))
        await self.serve(sockets=[listener])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        # Connections that were accepted in the last moment come to be, so that they are told of the end too.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would die of the signal it was stopped with; being told to stop is no failure."""
        yield

    def _orphaned(self) -> None:
        """The next supervisor waits for our end, so nobody is given much time."""
        given = self.config.timeout_graceful_shutdown or 0
        self.config.timeout_graceful_shutdown = min(given, _ORPHAN_GRACE_SECONDS)
        self.stop()

    def stop(self) -> None:
        self.should_exit = True
