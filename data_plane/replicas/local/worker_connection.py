"""An open connection to a model worker: HELLO, then batches out and answers in.

The worker scores batches singly and in order: the first unanswered batch is the batch at work.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, cast

from data_plane.replicas.local.busy_poll import BusyPoll
from data_plane.replicas.local.pending_request import Batch, Outcome
from data_plane.replicas.local.worker_messages import (
    MAX_META_BYTES,
    MAX_STATUSES,
    WorkerError,
    WorkerStatus,
    read_error,
    read_meta,
    read_model_seconds,
    read_status,
)
from data_plane.replicas.port import ScoreResponse
from data_plane.scoring.errors import (
    DeadlinePassed,
    InputRefused,
    ModelFailed,
    ScoringError,
    WorkerProtocolError,
)
from data_plane.scoring.wire.decode import decode_result
from data_plane.worker import frames
from data_plane.worker.frames import Buffer, Frame, FrameReader, ProtocolError
from modelyard.core.domain.storable_text import storable_text

_log = logging.getLogger(__name__)

# For smaller frames, a copy is cheaper than a system call with many buffers.
_SMALL_FRAME = 1 << 16
_MAX_FAULT_CHARACTERS = 300


class ConnectionListener(Protocol):
    def on_ready(self) -> None:
        """The worker's model is loaded."""

    def on_answer(self, batch: Batch, outcome: Outcome) -> None:
        """The worker has finished a batch and has room for another."""

    def on_lost(self, unanswered: Sequence[Batch]) -> None:
        """The connection is closed; `unanswered` is in the order of sending."""


class ConnectionSettings(NamedTuple):
    """Bounds of a worker's messages, the way to report a worker outside the bounds, and busy polling."""

    max_bytes: int
    """Largest body of a result."""
    frame_seconds: float
    """Time from the first to the last byte of a frame."""
    report_fault: Callable[[str, str], None]
    """Called with the worker's id and a reason, to have the worker replaced."""
    busy_poll_seconds: float
    """Longest time that the event loop polls for an answer without sleeping."""


class WorkerConnection(asyncio.Protocol):
    def __init__(
        self, worker_id: str, generation: int, listener: ConnectionListener, settings: ConnectionSettings
    ) -> None:
        self._worker_id = worker_id
        self._generation = generation
        self._listener = listener
        self._settings = settings
        self._busy_poll = BusyPoll(asyncio.get_running_loop(), settings.busy_poll_seconds)
        self._reader = FrameReader(MAX_META_BYTES, settings.max_bytes)
        self._unfinished: asyncio.TimerHandle | None = None
        """Deadline of a frame of which a part has arrived."""
        self._statuses = 0
        self._transport: asyncio.WriteTransport | None = None
        self.unanswered: dict[int, Batch] = {}
        """The batches at the worker, by number, in the order of sending."""
        self.load = 0
        """Number of unanswered requests."""
        self.is_ready = False
        self.has_fault = False
        """Whether the connection was closed because of the worker's bytes."""
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Done when the connection has closed; the value tells whether the worker had been ready."""

    @property
    def is_blocked(self) -> bool:
        """Whether the worker has a batch without waiting callers."""
        return any(batch.blocks_worker for batch in self.unanswered.values())

    def send(self, batch: Batch, frame: Sequence[Buffer]) -> None:
        assert self._transport is not None, "only a ready connection takes batches"
        self.unanswered[batch.number] = batch
        self.load += len(batch.members)
        if sum(map(len, frame)) <= _SMALL_FRAME:
            self._transport.write(b"".join(frame))
        else:
            self._transport.writelines(frame)
        if len(self.unanswered) == 1:
            self._busy_poll.sent()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        hello = {"protocol": [frames.VERSION], "role": "gateway", "max_answer_bytes": self._settings.max_bytes}
        self._transport.write(b"".join(frames.pack_json(frames.HELLO, 0, hello)))

    def data_received(self, data: bytes) -> None:
        if self.has_fault:
            return
        try:
            arrived = self._reader.feed(data)
            for frame in arrived:
                self._handle(frame)
        except ProtocolError as error:
            self._close_with_fault(storable_text(error, max_characters=_MAX_FAULT_CHARACTERS))
        else:
            self._time_unfinished(has_completed=bool(arrived))

    def _time_unfinished(self, *, has_completed: bool) -> None:
        """Have the worker replaced if a frame's rest does not arrive."""
        if self._unfinished is not None and (has_completed or not self._reader.is_within_frame):
            self._unfinished.cancel()
            self._unfinished = None
        if self._unfinished is None and self._reader.is_within_frame:
            seconds = self._settings.frame_seconds
            fault = f"a message was not finished within {seconds:g} s"
            self._unfinished = asyncio.get_running_loop().call_later(seconds, self._close_with_fault, fault)

    def _close_with_fault(self, fault: str) -> None:
        self.has_fault = True
        # The worker is closed for good, but a part of a frame could be large.
        self._reader = FrameReader()
        _log.error("Worker %s broke the protocol and is disconnected: %s", self._worker_id, fault)
        if self.is_ready:
            self._settings.report_fault(self._worker_id, f"the worker broke the protocol: {fault}")
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        was_ready, self.is_ready = self.is_ready, False
        if self._unfinished is not None:
            self._unfinished.cancel()
        unanswered = list(self.unanswered.values())
        self.unanswered.clear()
        self.load = 0
        if not self.ended.done():
            self.ended.set_result(was_ready)
        self._listener.on_lost(unanswered)

    # Frames from the worker.

    def _handle(self, frame: Frame) -> None:
        if frame.kind in (frames.RESULT, frames.ERROR):
            batch = self._answered(frame)
            self._listener.on_answer(batch, worker_outcome(frame, sum(batch.row_counts)))
        elif frame.kind == frames.STATUS:
            self._note_status(read_status(frame))
        else:
            raise ProtocolError(f"a worker does not send frames of kind {frame.kind} to a gateway")

    def _answered(self, frame: Frame) -> Batch:
        batch = self.unanswered.pop(frame.request_id, None)
        if batch is None:
            raise ProtocolError(f"the worker answered request {frame.request_id}, which is not under way")
        self.load -= len(batch.members)
        self._busy_poll.answered()
        return batch

    def _note_status(self, status: WorkerStatus) -> None:
        self._statuses += 1
        if self._statuses > MAX_STATUSES:
            raise ProtocolError(f"the worker sent more than {MAX_STATUSES} statuses on one connection")
        if (status.worker_id, status.generation) != (self._worker_id, self._generation):
            raise ProtocolError(f"the worker is {status.worker_id}, of generation {status.generation}")
        if status.state == "ready" and not self.is_ready:
            self.is_ready = True
            self._listener.on_ready()


def worker_outcome(frame: Frame, rows: int) -> Outcome:
    """Read a RESULT frame of `rows` rows, or an ERROR frame."""
    if frame.kind == frames.ERROR:
        return _scoring_error(read_error(frame))
    try:
        meta = read_meta(frame)
        result = decode_result(meta, frame.body, rows=rows)
        return ScoreResponse(result, read_model_seconds(meta), meta.get("arrays_differ") is True)
    except ProtocolError as error:
        _log.error("A worker's answer cannot be read: %s", storable_text(error, max_characters=_MAX_FAULT_CHARACTERS))
        return WorkerProtocolError("the worker's answer cannot be read; the gateway's log has the reason")


def _scoring_error(error: WorkerError) -> ScoringError:
    match error.kind:
        case "model":
            return ModelFailed(error.type_name, error.message, error.reference)
        case "input":
            return InputRefused(error.message)
        case "deadline":
            return DeadlinePassed()
        case _:
            return WorkerProtocolError(f"the worker could not read the request: {error.message}")
