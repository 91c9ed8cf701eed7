"""`GET /ping`, `/health` and `/version` of MLflow's scoring server."""

from data_plane.gateway.errors import UnknownMlflowVersion
from data_plane.gateway.health import health
from data_plane.gateway.request import Request
from data_plane.gateway.response import Response, json_response
from data_plane.gateway.routing_table import LiveEndpoint


async def ping(request: Request, endpoint: LiveEndpoint) -> Response:
    """200 when a request would find a worker."""
    await health(request, endpoint)
    return json_response(b"\n")


async def version(request: Request, endpoint: LiveEndpoint) -> Response:
    """The MLflow that the model was logged with, bare and labelled JSON, as MLflow's own server has it."""
    deployment = endpoint.choose(request.named_deployment)
    logged_with = deployment.bundle.mlflow_version
    if logged_with is None:
        raise UnknownMlflowVersion(deployment.route.name)
    return json_response(logged_with.encode())
