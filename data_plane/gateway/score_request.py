"""A scoring request of any protocol: choose a deployment, take a place among its requests, decompress, forward, mirror.

Reading comes before the place, because a slow sender must not hold a place of a model. A deployment whose queue is full
refuses a large body before the body is read.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from data_plane.gateway.body_budget import BodyBudget
from data_plane.gateway.content_coding import coding_of, decompressed
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
    codec: RequestCodec[Any],
    limits: GatewaySettings,
    budget: BodyBudget,
    mirror: Mirror,
    choose: Choose = choose_by_header,
) -> Handler:
    async def score(request: Request, endpoint: LiveEndpoint) -> Response:
        if endpoint.limiter is not None:
            endpoint.limiter.admit(request, time.time())
        coding = coding_of(request)
        if request.may_have_large_body:
            deployment = choose(request, endpoint)
            request.deployment = deployment.route.name
            deployment.upstream.check_room()
        with budget.share() as share:
            body = await request.body(limits.max_body_bytes, share)
            arrived = asyncio.get_running_loop().time()
            scoring_request: ScoringRequest | None = None
            while True:
                deployment = choose(request, endpoint)
                request.deployment = deployment.route.name
                deadline = arrived + deployment.route.request_timeout_seconds
                try:
                    with deployment.upstream.place():
                        if scoring_request is None:
                            if coding is not None:
                                body = await decompressed(body, coding, limits.max_body_bytes, share)
                            scoring_request = ScoringRequest.of(request, body, codec)
                        response = await deployment.upstream.forward(scoring_request, deadline)
                except ReplicaRetired:
                    # A newer generation, or another deployment, has taken over since.
                    continue
                mirror.send_copy(scoring_request, endpoint)
                return response

    return score
