"""The port between the HTTP front and a deployment: an Upstream answers undecoded requests.

`Local` decodes a request here and has a replica score the payload. A pod on Kubernetes decodes in the pod: the Upstream
for pods will send the request on over HTTP.
"""

import asyncio
import math
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from data_plane.gateway.errors import DeploymentBroken
from data_plane.gateway.request import Request
from data_plane.gateway.response import Response
from data_plane.replicas.port import Replica, ScoreRequest
from data_plane.scoring.codecs.port import RequestCodec, RequestContent
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.payload.values import ArrayResult, FrameResult, JsonResult, Result
from data_plane.scoring.pipeline import finish, prepare
from modelyard.core.domain.routing import DeploymentRoute

# Bytes of a body, and cells or bytes of a result, that are read or written on the event loop within a few milliseconds.
# For a small request a thread would cost more than the work itself.
_MAX_BODY_BYTES_ON_THE_LOOP = 256 << 10
_MOST_CELLS_ON_THE_LOOP = 1 << 14
_LARGEST_JSON_ON_THE_LOOP = 256 << 10
_PARQUET = b"parquet"


class ScoringRequest(NamedTuple):
    http: Request
    content: RequestContent
    """The whole body, decompressed, and the headers that protocols look at."""
    codec: RequestCodec[Any]

    @classmethod
    def of(cls, http: Request, body: bytes, codec: RequestCodec[Any]) -> "ScoringRequest":
        header = http.header
        content = RequestContent(
            body, header(b"content-type"), header(b"inference-header-content-length"), http.path_below, http.id
        )
        return cls(http, content, codec)


class Upstream(Protocol):
    @property
    def is_ready(self) -> bool:
        """Whether a new request would be scored without waiting for a worker to start."""

    def check_room(self) -> None:
        """Raises TooManyRequests while the queue is full. Takes no place."""

    def place(self) -> AbstractContextManager[None]:
        """A place among the pending requests, for a `forward`. Raises ScoringError or ReplicaRetired without one."""

    async def forward(self, request: ScoringRequest, deadline: float) -> Response:
        """Answer the request before `deadline` (on the event loop's clock, in seconds).

        Raises ScoringError, and ReplicaRetired when another upstream has to answer.
        """

    def update(self, route: DeploymentRoute) -> None:
        """Take over the workers and limits of a newer snapshot for the same generation."""

    def retire(self) -> None:
        """Answer the requests that are here, take no more, then close the connections."""


class Local:
    """Model workers that take decoded payloads."""

    def __init__(self, replica: Replica, bundle: LoadedBundle, *, max_answer_bytes: int) -> None:
        """`max_answer_bytes` bounds the body of a response."""
        self._replica = replica
        self._bundle = bundle
        self._max_answer_bytes = max_answer_bytes

    @property
    def is_ready(self) -> bool:
        return self._replica.is_ready

    def update(self, route: DeploymentRoute) -> None:
        self._replica.update(route)

    def retire(self) -> None:
        self._replica.retire()

    def check_room(self) -> None:
        with self._replica.place():
            pass

    def place(self) -> AbstractContextManager[None]:
        return self._replica.place()

    async def forward(self, request: ScoringRequest, deadline: float) -> Response:
        content = request.content
        if len(content.body) > _MAX_BODY_BYTES_ON_THE_LOOP or _is_parquet(content):
            payload, params, context = await asyncio.to_thread(prepare, request.codec, content, self._bundle)
        else:
            payload, params, context = prepare(request.codec, content, self._bundle)
        scored = await self._replica.score(ScoreRequest(content.request_id, payload, params), deadline)
        if _is_large(scored.result):
            body, headers = await asyncio.to_thread(finish, scored.result, context, self._max_answer_bytes)
        else:
            body, headers = finish(scored.result, context, self._max_answer_bytes)
        headers.append((b"x-ms-run-fn-exec-ms", b"%.3f" % (scored.model_seconds * 1000)))
        return Response(200, body, headers)


def _is_parquet(content: RequestContent) -> bool:
    """A few bytes of Parquet can be millions of values, and a process apart reads them."""
    return _PARQUET in (content.content_type or b"").lower()


def _is_large(result: Result) -> bool:
    match result:
        case ArrayResult(array=array):
            # An array without data has entries to write, too.
            cells = array.size or math.prod(length or 1 for length in array.shape)
            return cells > _MOST_CELLS_ON_THE_LOOP
        case FrameResult(columns=columns, rows=rows):
            return max(rows, 1) * max(1, len(columns)) > _MOST_CELLS_ON_THE_LOOP
        case JsonResult(text=text):
            return len(text) > _LARGEST_JSON_ON_THE_LOOP


class Broken:
    """A deployment whose bundle cannot be used."""

    def __init__(self, deployment: str, reason: str) -> None:
        self._deployment = deployment
        self._reason = reason

    is_ready = False

    def update(self, route: DeploymentRoute) -> None:
        pass

    def retire(self) -> None:
        pass

    def check_room(self) -> None:
        raise DeploymentBroken(self._deployment, self._reason)

    def place(self) -> AbstractContextManager[None]:
        raise DeploymentBroken(self._deployment, self._reason)

    async def forward(self, request: ScoringRequest, deadline: float) -> Response:
        raise DeploymentBroken(self._deployment, self._reason)
