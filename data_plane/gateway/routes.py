"""Which handler answers what. All but the gateway's own health lies below an endpoint's name."""

from collections.abc import Mapping
from dataclasses import dataclass

from data_plane.gateway.envelope import Envelope, Handler, Refuse
from data_plane.gateway.health import health
from data_plane.gateway.limits import Limits
from data_plane.gateway.messages import refusal_response
from data_plane.gateway.mirroring import Mirror
from data_plane.gateway.protocols.azure import AzureEnvelope
from data_plane.gateway.protocols.mlflow.envelope import MlflowEnvelope
from data_plane.gateway.protocols.mlflow.errors import error_response
from data_plane.gateway.protocols.mlflow.server_facts import ping, version
from data_plane.gateway.scoring import score_with

GATEWAY_HEALTH_PATHS = frozenset({"/", "/health"})


@dataclass(frozen=True, slots=True)
class Route:
    handlers: Mapping[str, Handler]
    """By method. A GET answers HEAD too."""
    refuse: Refuse = refusal_response

    @property
    def allowed(self) -> str:
        methods = [*self.handlers, "HEAD"] if "GET" in self.handlers else [*self.handlers]
        return ", ".join([*methods, "OPTIONS"])

    def handler(self, method: str) -> Handler | None:
        return self.handlers.get("GET" if method == "HEAD" else method)


class Routes:
    def __init__(self, limits: Limits) -> None:
        mirror = Mirror()

        def scored(envelope: Envelope) -> Route:
            return Route({"POST": score_with(envelope, limits, mirror)}, envelope.refuse)

        self._by_path: Mapping[str, Route] = {
            "": Route({"GET": health}),
            "score": scored(AzureEnvelope()),
            "invocations": scored(MlflowEnvelope()),
            "ping": Route({"GET": ping}, error_response),
            "health": Route({"GET": ping}, error_response),
            "version": Route({"GET": version}, error_response),
        }

    def find(self, below: str) -> Route | None:
        """By the path below the endpoint."""
        return self._by_path.get(below)


def split_path(path: str) -> tuple[str, str]:
    """(endpoint, the path below it)"""
    endpoint, _, below = path[1:].partition("/")
    return endpoint, below
