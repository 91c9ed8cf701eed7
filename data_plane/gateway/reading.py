"""Reads a body by its protocol and the signature, and keeps the other requests going meanwhile."""

import asyncio

from data_plane.gateway.envelope import Envelope
from data_plane.gateway.messages import Request
from data_plane.gateway.routing_table import LiveDeployment
from data_plane.scoring.signature import Enforced

# What can be read in a few milliseconds; a thread costs a small request more than its reading does.
_LARGEST_ON_THE_LOOP = 256 << 10
_PARQUET = b"parquet"


async def read(envelope: Envelope, request: Request, body: bytes, deployment: LiveDeployment) -> Enforced:
    """As `envelope.read`, in a thread where that takes long."""
    if len(body) > _LARGEST_ON_THE_LOOP or _unfolds(request):
        return await asyncio.to_thread(envelope.read, request, body, deployment)
    return envelope.read(request, body, deployment)


def _unfolds(request: Request) -> bool:
    """A few bytes of Parquet can be millions of values."""
    return _PARQUET in (request.header(b"content-type") or b"").lower()
