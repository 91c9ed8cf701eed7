"""`GET /ping`, `/health` and `/version` of MLflow's scoring server."""

from data_plane.gateway.errors import UnknownMlflowVersion
from data_plane.gateway.health import health
from data_plane.gateway.request import Request
from data_plane.gateway.response import Response, json_response
from data_plane.gateway.routing_table import LiveEndpoint


async def ping(request: Request, endpoint: LiveEndpoint) -> Response:
    """200 when a worker is ready."""
    await health(request, endpoint)
    return json_response(b"\n")


async def version(request: Request, endpoint: LiveEndpoint) -> Response:
    """The version of the MLflow that logged the model, as bare text labelled JSON, like MLflow's own server."""
    deployment = endpoint.choose(request.named_deployment)
    logged_with = deployment.bundle.mlflow_version
    if logged_with is None:
        raise UnknownMlflowVersion(deployment.route.name)
    return json_response(logged_with.encode())
