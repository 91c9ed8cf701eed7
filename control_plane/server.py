"""How the control plane is served."""

from fastapi import FastAPI

from modelyard.process.http_server import SupervisedServer

_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 3


class ControlPlaneServer(SupervisedServer):
    def __init__(self, app: FastAPI) -> None:
        super().__init__(app, http="httptools", keep_alive_seconds=_KEEP_ALIVE_SECONDS, grace_seconds=_GRACE_SECONDS)
