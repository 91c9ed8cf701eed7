"""The HTTP server of the control plane."""

from fastapi import FastAPI

from control_plane.web.error_response import error_document
from modelyard.core.settings import ControlPlaneSettings
from modelyard.process.http_exchange import asgi_application
from modelyard.process.http_server import SupervisedServer

_HEALTH_PATHS = frozenset({"/health", "/ready"})


class ControlPlaneServer(SupervisedServer):
    def __init__(self, app: FastAPI, settings: ControlPlaneSettings) -> None:
        super().__init__(
            asgi_application(app),
            settings,
            error=error_document,
            health=_HEALTH_PATHS,
            # A handler runs in a thread, and its transaction ends there.
            cancel_abandoned=False,
            # FastAPI asks for the current task.
            without_tasks=False,
        )
