"""The HTTP server of the control plane."""

from fastapi import FastAPI

from modelyard.core.settings import ControlPlaneSettings
from modelyard.process.http_server import SupervisedServer


class ControlPlaneServer(SupervisedServer):
    def __init__(self, app: FastAPI, settings: ControlPlaneSettings) -> None:
        super().__init__(
            app,
            http="httptools",
            keep_alive_seconds=settings.keep_alive_seconds,
            grace_seconds=settings.shutdown_seconds,
        )
