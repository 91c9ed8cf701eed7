"""Control plane applications on real sockets that outlive a test: FastAPI analyses the routes once a session."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import uvloop

from control_plane.app import create_app
from control_plane.server import ControlPlaneServer
from control_plane.services import Services
from modelyard.core.settings import ControlPlaneSettings


class AppServer:
    """One application on one port; each test brings its own services."""

    def __init__(self, **settings_of_http: Any) -> None:
        self._verifier, self._telemetry, self._dependencies = _Current(), _Current(), _Current()
        settings = ControlPlaneSettings(**settings_of_http)
        services = SimpleNamespace(
            verifier=self._verifier,
            telemetry=self._telemetry,
            dependencies=self._dependencies,
            max_json_bytes=settings.max_json_bytes,
            request_seconds=settings.request_seconds,
            pending_requests=settings.pending_requests,
            working_requests=settings.database_connections,
        )
        self.app = create_app(cast(Services, services))
        self._server = ControlPlaneServer(self.app, settings)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @classmethod
    def without_services(cls, **settings_of_http: Any) -> "AppServer":
        """For the public paths, and for the connection itself."""
        server = cls(**settings_of_http)
        server._telemetry.current = SimpleNamespace(record=lambda record: None)
        server.app.state.services = SimpleNamespace(health=SimpleNamespace(unavailable=lambda: ()))
        return server

    def use(self, services: Services) -> None:
        self.app.state.services = services
        self._verifier.current = services.verifier
        self._telemetry.current = services.telemetry
        self._dependencies.current = services.dependencies

    def close(self) -> None:
        self._server.stop()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        uvloop.run(self._server.serve(sockets=[self._listener]))


class _Current:
    """A service of the running test, for a middleware that keeps the service from its creation."""

    current: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.current, name)


class AppServers:
    """Lends each server to one test at a time."""

    def __init__(self) -> None:
        self._idle: list[AppServer] = []

    @contextmanager
    def lend(self) -> Iterator[AppServer]:
        server = self._idle.pop() if self._idle else AppServer()
        try:
            yield server
        finally:
            self._idle.append(server)

    def close(self) -> None:
        for server in self._idle:
            server.close()
