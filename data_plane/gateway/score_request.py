"""A scoring request of any protocol: read the body, choose a deployment, forward, mirror."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from data_plane.gateway.content_coding import codings_of, decompressed
from data_plane.gateway.mirroring import Mirror
from data_plane.gateway.request import Request
from data_plane.gateway.response import Response
from data_plane.gateway.routing_table import LiveDeployment, LiveEndpoint
from data_plane.gateway.upstream import ScoringRequest
from data_plane.replicas.port import ReplicaRetired
from data_plane.scoring.codecs.port import RequestCodec
from modelyard.core.settings import GatewaySettings

Handler = Callable[[Request, LiveEndpoint], Coroutine[Any, Any, Response]]
Choose = Callable[[Request, LiveEndpoint], LiveDeployment]


def choose_by_header(request: Request, endpoint: LiveEndpoint) -> LiveDeployment:
    return endpoint.choose(request.named_deployment)


def scoring_handler(
    codec: RequestCodec[Any], limits: GatewaySettings, mirror: Mirror, choose: Choose = choose_by_header
) -> Handler:
    async def score(request: Request, endpoint: LiveEndpoint) -> Response:
        if endpoint.limiter is not None:
            endpoint.limiter.admit(request, time.time())
        codings = codings_of(request)
        body = await decompressed(await request.body(limits.max_body_bytes), codings, limits.max_body_bytes)
        arrived = asyncio.get_running_loop().time()
        scoring_request = ScoringRequest.of(request, body, codec)
        while True:
            deployment = choose(request, endpoint)
            request.deployment = deployment.route.name
            deadline = arrived + deployment.route.request_timeout_seconds
            try:
                response = await deployment.upstream.forward(scoring_request, deadline)
            except ReplicaRetired:
                # A newer generation, or another deployment, has taken over since.
                continue
            mirror.send_copy(scoring_request, endpoint)
            return response

    return score
