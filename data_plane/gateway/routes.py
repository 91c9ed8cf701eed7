"""The handler of each path and method. Every path but the gateway's own health lies below an endpoint's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from data_plane.gateway import model_choice
from data_plane.gateway.body_budget import BodyBudget
from data_plane.gateway.health import health
from data_plane.gateway.metadata import open_inference
from data_plane.gateway.metadata.mlflow import ping, version
from data_plane.gateway.mirroring import Mirror
from data_plane.gateway.parquet_process import ParquetProcess
from data_plane.gateway.score_request import Choose, Handler, choose_by_header, scoring_handler
from data_plane.gateway.swagger.serving import Swagger
from data_plane.scoring.codecs.azure import AzureCodec
from data_plane.scoring.codecs.mlflow.codec import MlflowCodec
from data_plane.scoring.codecs.open_inference import paths
from data_plane.scoring.codecs.open_inference.codec import OpenInferenceCodec
from data_plane.scoring.codecs.port import RequestCodec
from modelyard.core.domain.required_roles import open_scoring_paths, role_below_endpoint
from modelyard.core.domain.roles import Role
from modelyard.core.settings import GatewaySettings

GATEWAY_HEALTH_PATHS = open_scoring_paths()


@dataclass(frozen=True, slots=True)
class Route:
    handlers: Mapping[str, Handler]
    """By method. A GET answers HEAD too."""
    codec: RequestCodec[Any]
    """The protocol of the route, also for errors."""
    required_role: Role
    """The role of the caller in the endpoint's workspace, by the table in `required_roles`."""

    @property
    def allowed(self) -> str:
        methods = [*self.handlers, "HEAD"] if "GET" in self.handlers else [*self.handlers]
        return ", ".join([*methods, "OPTIONS"])

    def handler(self, method: str) -> Handler | None:
        return self.handlers.get("GET" if method == "HEAD" else method)


_Entry = tuple[Mapping[str, Handler], RequestCodec[Any]]


class Routes:
    def __init__(self, limits: GatewaySettings) -> None:
        budget = BodyBudget(max(limits.max_pending_body_bytes, 2 * limits.max_body_bytes))
        mirror = Mirror(budget)
        azure, mlflow, v2 = AzureCodec(), MlflowCodec(ParquetProcess()), OpenInferenceCodec()

        def scored(codec: RequestCodec[Any], choose: Choose = choose_by_header) -> _Entry:
            return {"POST": scoring_handler(codec, limits, budget, mirror, choose)}, codec

        entries: Mapping[str, _Entry] = {
            "": ({"GET": health}, azure),
            "score": scored(azure),
            "swagger.json": ({"GET": Swagger().answer}, azure),
            "invocations": scored(mlflow),
            "ping": ({"GET": ping}, mlflow),
            "health": ({"GET": ping}, mlflow),
            "version": ({"GET": version}, mlflow),
            "v2": ({"GET": open_inference.server_metadata}, v2),
            "v2/health/live": ({"GET": open_inference.server_live}, v2),
            "v2/health/ready": ({"GET": open_inference.server_ready}, v2),
            "v2/models/{name}": ({"GET": open_inference.model_metadata}, v2),
            "v2/models/{name}/ready": ({"GET": open_inference.model_ready}, v2),
            "v2/models/{name}/infer": scored(v2, model_choice.choose),
            "v2/repository/index": ({"POST": open_inference.repository_index}, v2),
            paths.UNKNOWN: (dict.fromkeys(["GET", "POST"], open_inference.unknown_path), v2),
        }
        self._by_path = {
            path: Route(handlers, codec, role_below_endpoint(path)) for path, (handlers, codec) in entries.items()
        }

    def find(self, path_below: str) -> Route | None:
        """Return the route of a path below the endpoint."""
        return self._by_path.get(path_below) or self._by_path.get(paths.route_of(path_below))
