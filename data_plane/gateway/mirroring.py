"""Mirrored traffic: a copy of a share of the requests goes to one more deployment, and nobody waits for its answer.

A copy is made once the caller's own request has been answered, so that it never delays it, and whatever becomes of it
is the mirror's alone. What waits for the mirror is bounded: a slow mirror misses copies.
"""

import asyncio
import logging
import random

from data_plane.gateway.envelope import Envelope
from data_plane.gateway.messages import Request
from data_plane.gateway.reading import read
from data_plane.gateway.routing_table import LiveDeployment, LiveEndpoint
from data_plane.replicas.port import ReplicaRetired, ScoreRequest
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.signature import SignatureViolations

_log = logging.getLogger(__name__)

_MOST_COPIES = 256


class Mirror:
    def __init__(self) -> None:
        self._copies: set[asyncio.Task[None]] = set()

    def send_copy(self, envelope: Envelope, request: Request, body: bytes, endpoint: LiveEndpoint) -> None:
        """For one in so many requests that did not name their deployment."""
        mirror = endpoint.mirror
        if mirror is None or request.named_deployment is not None or len(self._copies) >= _MOST_COPIES:
            return
        deployment, percent = mirror
        if random.uniform(0, 100) < percent:
            copy = asyncio.get_running_loop().create_task(_score(envelope, request, body, deployment))
            self._copies.add(copy)
            copy.add_done_callback(self._copies.discard)


async def _score(envelope: Envelope, request: Request, body: bytes, deployment: LiveDeployment) -> None:
    deadline = asyncio.get_running_loop().time() + deployment.route.request_timeout_seconds
    try:
        enforced = await read(envelope, request, body, deployment)
        await deployment.replica.score(ScoreRequest(request.id, enforced.payload, enforced.params), deadline)
    except (ScoringError, SignatureViolations, ReplicaRetired) as refusal:
        _log.info("Mirrored request %s to %s: %s", request.id, deployment.route.name, refusal)
    except Exception:  # noqa: BLE001 - a mirror's failure is nobody's
        _log.exception("Mirrored request %s to %s failed", request.id, deployment.route.name)
