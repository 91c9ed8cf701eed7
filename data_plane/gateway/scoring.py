"""A scoring request's way, whatever its protocol: body, deployment, signature, worker, answer."""

import asyncio
from collections.abc import Callable
from urllib.parse import quote

from data_plane.gateway.content_coding import codings_of, unpacked
from data_plane.gateway.envelope import Envelope, Handler
from data_plane.gateway.limits import Limits
from data_plane.gateway.messages import Request, Response
from data_plane.gateway.mirroring import Mirror
from data_plane.gateway.reading import read
from data_plane.gateway.routing_table import LiveDeployment, LiveEndpoint
from data_plane.gateway.writing import write
from data_plane.replicas.port import ReplicaRetired, ScoreRequest
from data_plane.scoring.errors import InputRefused
from data_plane.scoring.signature import Enforced, SignatureViolations

_LONGEST_SURPLUS = 1024


Choose = Callable[[Request, LiveEndpoint], LiveDeployment]


def choose_by_header(request: Request, endpoint: LiveEndpoint) -> LiveDeployment:
    return endpoint.choose(request.named_deployment)


def score_with(envelope: Envelope, limits: Limits, mirror: Mirror, choose: Choose = choose_by_header) -> Handler:
    async def score(request: Request, endpoint: LiveEndpoint) -> Response:
        codings = codings_of(request)
        body = await unpacked(await request.body(limits.largest_body), codings, limits.largest_body)
        arrived = asyncio.get_running_loop().time()
        while True:
            deployment = choose(request, endpoint)
            request.deployment = deployment.route.name
            enforced = await _read(envelope, request, body, deployment)
            question = ScoreRequest(request.id, enforced.payload, enforced.params)
            try:
                answer = await deployment.replica.score(question, arrived + deployment.route.request_timeout_seconds)
            except ReplicaRetired:
                # A newer generation, or another deployment, has taken over since.
                continue
            mirror.send_copy(envelope, request, body, endpoint)
            return _with_surplus(await write(envelope, request, body, deployment, answer), enforced.surplus)

    return score


async def _read(envelope: Envelope, request: Request, body: bytes, deployment: LiveDeployment) -> Enforced:
    try:
        return await read(envelope, request, body, deployment)
    except SignatureViolations as violations:
        raise InputRefused(violations) from None


def _with_surplus(response: Response, surplus: tuple[str, ...]) -> Response:
    """Names what the signature does not declare and the model was therefore not given."""
    if surplus:
        response.headers.append((b"modelyard-surplus-columns", _joined(surplus)))
    return response


def _joined(names: tuple[str, ...]) -> bytes:
    joined = ""
    for name in names:
        longer = f"{joined},{quote(name, safe='')}" if joined else quote(name, safe="")
        if len(longer) > _LONGEST_SURPLUS:
            break
        joined = longer
    return joined.encode()
