"""An open connection to a model worker: HELLO, then batches out and answers in.

The worker scores batches singly and in order: the first unanswered batch is the batch at work.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol, cast

import orjson

from data_plane.replicas.local.pending_request import Batch, Outcome
from data_plane.replicas.port import ScoreResponse
from data_plane.scoring.errors import DeadlinePassed, ModelFailed, ScoringError, WorkerProtocolError
from data_plane.scoring.wire.decode import decode_result
from data_plane.worker import frames
from data_plane.worker.frames import Buffer, Frame, FrameReader, ProtocolError

_log = logging.getLogger(__name__)

# For smaller frames, a copy is cheaper than a system call with many buffers.
_SMALL_FRAME = 1 << 16


class ConnectionListener(Protocol):
    def on_ready(self) -> None:
        """The worker's model is loaded."""

    def on_answer(self, batch: Batch, outcome: Outcome) -> None:
        """The worker has finished a batch and has room for another."""

    def on_lost(self, unanswered: Sequence[Batch]) -> None:
        """The connection is closed; `unanswered` is in the order of sending."""


class WorkerConnection(asyncio.Protocol):
    def __init__(self, worker_id: str, generation: int, listener: ConnectionListener) -> None:
        self._worker_id = worker_id
        self._generation = generation
        self._listener = listener
        self._reader = FrameReader()
        self._transport: asyncio.WriteTransport | None = None
        self._unanswered: dict[int, Batch] = {}
        self.is_ready = False
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Done when the connection has closed; the value tells whether the worker had been ready."""

    @property
    def in_flight(self) -> int:
        """Number of unanswered batches."""
        return len(self._unanswered)

    @property
    def load(self) -> int:
        """Number of unanswered requests."""
        return sum(len(batch.members) for batch in self._unanswered.values())

    @property
    def is_blocked(self) -> bool:
        """Whether the worker has a batch without waiting callers."""
        return any(batch.blocks_worker for batch in self._unanswered.values())

    def send(self, batch: Batch, frame: Sequence[Buffer]) -> None:
        assert self._transport is not None, "only a ready connection takes batches"
        self._unanswered[batch.number] = batch
        if sum(map(len, frame)) <= _SMALL_FRAME:
            self._transport.write(b"".join(frame))
        else:
            self._transport.writelines(frame)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        hello = frames.pack_json(frames.HELLO, 0, {"protocol": [frames.VERSION], "role": "gateway"})
        self._transport.write(b"".join(hello))

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                self._handle(frame)
        except (ProtocolError, ValueError, KeyError) as error:
            _log.error("Worker %s broke the protocol and is disconnected: %s", self._worker_id, error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        was_ready, self.is_ready = self.is_ready, False
        unanswered = list(self._unanswered.values())
        self._unanswered.clear()
        if not self.ended.done():
            self.ended.set_result(was_ready)
        self._listener.on_lost(unanswered)

    # Frames from the worker.

    def _handle(self, frame: Frame) -> None:
        if frame.kind == frames.RESULT:
            self._settle(frame, _response(frame))
        elif frame.kind == frames.STATUS:
            self._note_status(orjson.loads(frame.meta))
        elif frame.kind == frames.ERROR:
            self._settle(frame, _scoring_error(orjson.loads(frame.meta)))
        else:
            raise ProtocolError(f"a worker does not send frames of kind {frame.kind} to a gateway")

    def _settle(self, frame: Frame, outcome: Outcome) -> None:
        batch = self._unanswered.pop(frame.request_id, None)
        if batch is None:
            raise ProtocolError(f"the worker answered request {frame.request_id}, which is not under way")
        self._listener.on_answer(batch, outcome)

    def _note_status(self, status: dict[str, Any]) -> None:
        if (status["worker_id"], status["generation"]) != (self._worker_id, self._generation):
            raise ProtocolError(f"the worker is {status['worker_id']}, of generation {status['generation']}")
        if status["state"] == "ready" and not self.is_ready:
            self.is_ready = True
            self._listener.on_ready()


def _response(frame: Frame) -> Outcome:
    try:
        meta = orjson.loads(frame.meta)
        return ScoreResponse(decode_result(meta, frame.body), meta["seconds"])
    except (ProtocolError, ValueError, KeyError) as error:
        _log.error("A worker's answer cannot be read: %s", error)
        return WorkerProtocolError("the worker's answer cannot be read; the gateway's log has the reason")


def _scoring_error(error: dict[str, Any]) -> ScoringError:
    match error["error"]:
        case "model":
            return ModelFailed(error["type"], error["message"], error["reference"])
        case "deadline":
            return DeadlinePassed()
        case _:
            return WorkerProtocolError(f"the worker could not read the request: {error['message']}")
