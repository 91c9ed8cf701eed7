"""`GET /{endpoint}/`: whether a worker is ready for a request."""

from data_plane.gateway.request import Request
from data_plane.gateway.response import Response
from data_plane.gateway.routing_table import LiveEndpoint
from data_plane.scoring.errors import NoReadyWorker

_TEXT = (b"content-type", b"text/plain; charset=utf-8")

HEALTHY = Response(200, b"Healthy", [_TEXT])


async def health(request: Request, endpoint: LiveEndpoint) -> Response:
    named = request.named_deployment
    chosen = endpoint.choose(named)
    ready = chosen.upstream.is_ready if named is not None else endpoint.is_ready
    if not ready:
        raise NoReadyWorker(chosen.route.name)
    return HEALTHY
