"""Mirrored traffic: the mirror deployment gets copies of a share of the requests, and its results are discarded.

A copy is sent after the caller's own request has been answered, so that a copy never delays a caller. The number of
copies under way, and of their bytes, is bounded: a slow mirror misses some.
"""

import asyncio
import logging
import random

from data_plane.gateway.body_budget import BodyBudget
from data_plane.gateway.routing_table import LiveDeployment, LiveEndpoint
from data_plane.gateway.upstream import ScoringRequest
from data_plane.replicas.port import ReplicaRetired
from data_plane.scoring.errors import ScoringError

_log = logging.getLogger(__name__)

_MOST_COPIES = 256


class Mirror:
    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._copies: set[asyncio.Task[None]] = set()

    def send_copy(self, request: ScoringRequest, endpoint: LiveEndpoint) -> None:
        """Copy the endpoint's share of the requests. A request that names its deployment is not copied."""
        mirror = endpoint.mirror
        if mirror is None or request.http.named_deployment is not None or len(self._copies) >= _MOST_COPIES:
            return
        deployment, percent = mirror
        if random.uniform(0, 100) < percent:
            copy = asyncio.get_running_loop().create_task(_score(request, deployment, self._budget))
            self._copies.add(copy)
            copy.add_done_callback(self._copies.discard)


async def _score(request: ScoringRequest, deployment: LiveDeployment, budget: BodyBudget) -> None:
    deadline = asyncio.get_running_loop().time() + deployment.route.request_timeout_seconds
    request_id, name = request.http.id, deployment.route.name
    try:
        with budget.share() as share, deployment.upstream.place():
            share.take(len(request.content.body))
            await deployment.upstream.forward(request, deadline)
    except (ScoringError, ReplicaRetired) as error:
        _log.info("Mirrored request %s to %s: %s", request_id, name, error)
    except Exception:  # noqa: BLE001 - a failure of the mirror reaches no caller
        _log.exception("Mirrored request %s to %s failed", request_id, name)
