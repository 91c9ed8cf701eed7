"""The uvicorn server of a gateway."""

from data_plane.gateway.app import GatewayApp
from data_plane.gateway.http_protocol import scoring_protocol
from modelyard.core.settings import GatewaySettings
from modelyard.process.http_server import SupervisedServer


class GatewayServer(SupervisedServer):
    def __init__(self, app: GatewayApp, limits: GatewaySettings) -> None:
        super().__init__(
            app,
            http=scoring_protocol(limits),
            keep_alive_seconds=int(limits.keep_alive_seconds),
            grace_seconds=limits.shutdown_seconds,
        )
