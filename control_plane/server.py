"""One control-plane process's life: serve on the inherited socket; stop when told, or when the supervisor is gone."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 3


class ControlPlaneServer(uvicorn.Server):
    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )

    async def serve_until_told(self, listener: socket.socket, lifeline_fd: int | None) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        if lifeline_fd is not None:
            loop.add_reader(lifeline_fd, self._lifeline_moved, lifeline_fd)
        await self.serve(sockets=[listener])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would die of the signal it was stopped with; being told to stop is no failure."""
        yield

    def stop(self) -> None:
        self.should_exit = True

    def _lifeline_moved(self, fd: int) -> None:
        if not os.read(fd, 1):
            asyncio.get_running_loop().remove_reader(fd)
            self.stop()
