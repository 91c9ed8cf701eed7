"""Writes an answer by its protocol, and keeps the other requests going meanwhile."""

import asyncio

from data_plane.gateway.envelope import Envelope
from data_plane.gateway.messages import Request, Response
from data_plane.gateway.routing_table import LiveDeployment
from data_plane.replicas.port import ScoreResponse
from data_plane.scoring.payload.values import ArrayResult, FrameResult, JsonResult, Result

# What can be written in a few milliseconds; a thread costs a small answer more than its writing does.
_MOST_CELLS_ON_THE_LOOP = 1 << 14
_LARGEST_ON_THE_LOOP = 256 << 10


async def write(
    envelope: Envelope, request: Request, body: bytes, deployment: LiveDeployment, answer: ScoreResponse
) -> Response:
    """As `envelope.write`, in a thread where that takes long."""
    if _is_large(answer.result):
        return await asyncio.to_thread(envelope.write, request, body, deployment, answer)
    return envelope.write(request, body, deployment, answer)


def _is_large(result: Result) -> bool:
    match result:
        case ArrayResult(array=array):
            return array.size > _MOST_CELLS_ON_THE_LOOP
        case FrameResult(columns=columns, rows=rows):
            return rows * max(1, len(columns)) > _MOST_CELLS_ON_THE_LOOP
        case JsonResult(text=text):
            return len(text) > _LARGEST_ON_THE_LOOP
