"""Which handler answers what. All but the gateway's own health lies below an endpoint's name."""

from collections.abc import Mapping
from dataclasses import dataclass

from data_plane.gateway import model_choice
from data_plane.gateway.envelope import Envelope, Handler, Refuse
from data_plane.gateway.health import health
from data_plane.gateway.limits import Limits
from data_plane.gateway.messages import refusal_response
from data_plane.gateway.metadata import open_inference
from data_plane.gateway.metadata.mlflow import ping, version
from data_plane.gateway.mirroring import Mirror
from data_plane.gateway.scoring import Choose, choose_by_header, score_with
from data_plane.gateway.swagger.serving import Swagger
from data_plane.scoring.codecs.azure import AzureEnvelope
from data_plane.scoring.codecs.mlflow.envelope import MlflowEnvelope
from data_plane.scoring.codecs.mlflow.errors import error_response
from data_plane.scoring.codecs.open_inference import errors, paths
from data_plane.scoring.codecs.open_inference.envelope import OpenInferenceEnvelope

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

        def scored(envelope: Envelope, choose: Choose = choose_by_header) -> Route:
            return Route({"POST": score_with(envelope, limits, mirror, choose)}, envelope.refuse)

        self._by_path: Mapping[str, Route] = {
            "": Route({"GET": health}),
            "score": scored(AzureEnvelope()),
            "invocations": scored(MlflowEnvelope()),
            "ping": Route({"GET": ping}, error_response),
            "health": Route({"GET": ping}, error_response),
            "version": Route({"GET": version}, error_response),
            "swagger.json": Route({"GET": Swagger().answer}),
            "v2": Route({"GET": open_inference.server_metadata}, errors.error_response),
            "v2/health/live": Route({"GET": open_inference.server_live}, errors.error_response),
            "v2/health/ready": Route({"GET": open_inference.server_ready}, errors.error_response),
            "v2/models/{name}": Route({"GET": open_inference.model_metadata}, errors.error_response),
            "v2/models/{name}/ready": Route({"GET": open_inference.model_ready}, errors.error_response),
            "v2/models/{name}/infer": scored(OpenInferenceEnvelope(), model_choice.choose),
            "v2/repository/index": Route({"POST": open_inference.repository_index}, errors.error_response),
            paths.UNKNOWN: Route(dict.fromkeys(["GET", "POST"], open_inference.nothing_here), errors.error_response),
        }

    def find(self, below: str) -> Route | None:
        """By the path below the endpoint."""
        return self._by_path.get(below) or self._by_path.get(paths.route_of(below))


def split_path(path: str) -> tuple[str, str]:
    """(endpoint, the path below it)"""
    endpoint, _, below = path[1:].partition("/")
    return endpoint, below
