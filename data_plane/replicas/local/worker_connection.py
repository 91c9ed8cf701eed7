"""One open connection to a model worker: hello, then batches out and answers in.

The worker scores one batch at a time and in order, so the first unanswered one is the one it is at work on.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol, cast

import orjson

from data_plane.replicas.local.batch import Batch
from data_plane.replicas.local.pending_request import Outcome
from data_plane.replicas.port import ScoreResponse
from data_plane.scoring.errors import DeadlinePassed, ModelFailed, ScoringError, WorkerProtocolError
from data_plane.scoring.wire.decode import decode_result
from data_plane.worker import frames
from data_plane.worker.frames import Buffer, Frame, FrameReader, ProtocolError

_log = logging.getLogger(__name__)

# Below this, one copy is cheaper than a system call with many buffers.
_SMALL_FRAME = 1 << 16


class Listener(Protocol):
    def conversation_ready(self) -> None:
        """The worker's model is loaded."""

    def conversation_answered(self, batch: Batch, outcome: Outcome) -> None:
        """And there is room for another."""

    def conversation_lost(self, unanswered: Sequence[Batch]) -> None:
        """The connection is closed; `unanswered` in the order in which they were sent."""


class Conversation(asyncio.Protocol):
    def __init__(self, worker_id: str, generation: int, listener: Listener) -> None:
        self._worker_id = worker_id
        self._generation = generation
        self._listener = listener
        self._reader = FrameReader()
        self._transport: asyncio.WriteTransport | None = None
        self._unanswered: dict[int, Batch] = {}
        self.is_ready = False
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether it had been ready, once it is over."""

    @property
    def in_flight(self) -> int:
        """Batches."""
        return len(self._unanswered)

    @property
    def load(self) -> int:
        """Requests."""
        return sum(len(batch.members) for batch in self._unanswered.values())

    @property
    def is_held_up(self) -> bool:
        """Whether the worker is at work, or about to be, on what nobody waits for any more."""
        return any(batch.holds_up for batch in self._unanswered.values())

    def send(self, batch: Batch, frame: Sequence[Buffer]) -> None:
        assert self._transport is not None, "only a ready conversation is sent to"
        self._unanswered[batch.number] = batch
        if sum(map(len, frame)) <= _SMALL_FRAME:
            self._transport.write(b"".join(frame))
        else:
            self._transport.writelines(frame)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # asyncio's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        hello = frames.pack_json(frames.HELLO, 0, {"protocol": [frames.VERSION], "role": "gateway"})
        self._transport.write(b"".join(hello))

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                self._handle(frame)
        except (ProtocolError, ValueError, KeyError) as error:
            _log.error("Worker %s is disconnected, it does not keep to the protocol: %s", self._worker_id, error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        was_ready, self.is_ready = self.is_ready, False
        unanswered = list(self._unanswered.values())
        self._unanswered.clear()
        if not self.ended.done():
            self.ended.set_result(was_ready)
        self._listener.conversation_lost(unanswered)

    # What the worker says.

    def _handle(self, frame: Frame) -> None:
        if frame.kind == frames.RESULT:
            self._settle(frame, _answer(frame))
        elif frame.kind == frames.STATUS:
            self._note_status(orjson.loads(frame.meta))
        elif frame.kind == frames.ERROR:
            self._settle(frame, _refusal(orjson.loads(frame.meta)))
        else:
            raise ProtocolError(f"a frame of kind {frame.kind} is nothing to tell a gateway")

    def _settle(self, frame: Frame, outcome: Outcome) -> None:
        batch = self._unanswered.pop(frame.request_id, None)
        if batch is None:
            raise ProtocolError(f"it answered request {frame.request_id}, which is not under way")
        self._listener.conversation_answered(batch, outcome)

    def _note_status(self, status: dict[str, Any]) -> None:
        if (status["worker_id"], status["generation"]) != (self._worker_id, self._generation):
            raise ProtocolError(f"it is {status['worker_id']}, of generation {status['generation']}")
        if status["state"] == "ready" and not self.is_ready:
            self.is_ready = True
            self._listener.conversation_ready()


def _answer(frame: Frame) -> ScoreResponse | ScoringError:
    try:
        meta = orjson.loads(frame.meta)
        return ScoreResponse(decode_result(meta, frame.body), meta["seconds"])
    except (ProtocolError, ValueError, KeyError) as error:
        _log.error("An answer cannot be read: %s", error)
        return WorkerProtocolError("the worker's answer cannot be read; the gateway's log says why")


def _refusal(error: dict[str, Any]) -> ScoringError:
    match error["error"]:
        case "model":
            return ModelFailed(error["type"], error["message"], error["reference"])
        case "deadline":
            return DeadlinePassed()
        case _:
            return WorkerProtocolError(f"the worker could not read the request: {error['message']}")
