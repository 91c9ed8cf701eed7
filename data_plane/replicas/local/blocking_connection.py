"""A blocking connection to a model worker, for the host and for batch: hello, ping, drain, score.

For a single thread, with a single request at a time. A worker pushes a status at every change of state; `status` holds
the latest.
"""

import itertools
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from data_plane.replicas.local.worker_messages import (
    MAX_META_BYTES,
    Pong,
    WorkerStatus,
    read_error,
    read_meta,
    read_pong,
    read_status,
)
from data_plane.replicas.port import ReplicaGone, ReplicaSilent, ScoringFailed
from data_plane.scoring.payload.values import Payload, Result
from data_plane.scoring.wire.decode import decode_result
from data_plane.scoring.wire.encode import encode_score, row_count
from data_plane.worker import frames
from data_plane.worker.frames import Buffer, Frame, FrameReader, ProtocolError

Role = Literal["host", "gateway"]

_READ_SIZE = 1 << 18
# Frames that answer no question: statuses, and late answers to abandoned requests.
_MAX_UNASKED_FRAMES = 1000


class BlockingWorkerConnection:
    def __init__(
        self,
        path: Path,
        *,
        role: Role = "host",
        timeout: float = 5.0,
        max_answer_bytes: int = frames.MAX_BODY_BYTES,
    ) -> None:
        """Connect and send HELLO. Raises ReplicaGone, ReplicaSilent, or ProtocolError, as every method does.

        `max_answer_bytes` is the largest body of a result; 0 for a connection without `score`.
        """
        self._ids = itertools.count(1)
        self._max_answer_bytes = max_answer_bytes
        self._reader = FrameReader(MAX_META_BYTES, max_answer_bytes)
        self._arrived: list[Frame] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect(path, timeout)
            hello = {"protocol": [frames.VERSION], "role": role, "max_answer_bytes": max_answer_bytes}
            self.status = read_status(self._ask(frames.HELLO, hello, timeout))
        except BaseException:
            self._socket.close()
            raise

    def _connect(self, path: Path, timeout: float) -> None:
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except TimeoutError:
            raise ReplicaSilent(f"the worker at {path} does not accept the connection") from None
        except OSError as error:
            raise ReplicaGone(f"no worker listens at {path}: {error}") from error

    def ping(self, timeout: float = 2.0) -> Pong:
        return read_pong(self._ask(frames.PING, {}, timeout))

    def drain(self, seconds: float) -> None:
        """Have the worker answer the received requests, and end with the last gateway connection."""
        self._send(frames.pack_json(frames.DRAIN, next(self._ids), {"deadline": seconds}), timeout=seconds)

    def wait_until_loaded(self, timeout: float) -> WorkerStatus:
        """Return the status `ready` or `failed`. Raises ReplicaSilent, or ReplicaGone at the worker's end."""
        deadline = time.monotonic() + timeout
        while self.status.state == "loading":
            self._note_status(self._next_frame(deadline))
        return self.status

    def score(
        self,
        payload: Payload,
        *,
        timeout: float,
        params: Mapping[str, Any] | None = None,
        request_ids: tuple[str, ...] = (),
    ) -> Result:
        request_id = next(self._ids)
        deadline = time.time() + timeout
        request = encode_score(
            payload, request_id=request_id, params=params, request_ids=request_ids, deadline=deadline
        )
        self._send(request, timeout)
        answer = self._answer(request_id, timeout)
        return decode_result(read_meta(answer), answer.body, rows=row_count(payload))

    def poll(self) -> WorkerStatus:
        """Return the latest status from the frames that have arrived, without waiting."""
        self._socket.setblocking(False)
        try:
            for _ in range(_MAX_UNASKED_FRAMES):
                self._note_status(self._arrived.pop(0) if self._arrived else self._receive())
        except BlockingIOError:
            return self.status
        raise _flood()

    def _ask(self, kind: int, meta: dict[str, Any], timeout: float) -> Frame:
        request_id = next(self._ids)
        self._send(frames.pack_json(kind, request_id, meta), timeout)
        return self._answer(request_id, timeout)

    def _send(self, buffers: list[Buffer], timeout: float) -> None:
        self._socket.settimeout(timeout)
        try:
            for buffer in buffers:
                self._socket.sendall(buffer)
        except TimeoutError:
            raise ReplicaSilent("the worker does not read") from None
        except OSError as error:
            raise ReplicaGone(f"the worker is gone: {error}") from error

    def _answer(self, request_id: int, timeout: float) -> Frame:
        deadline = time.monotonic() + timeout
        for _ in range(_MAX_UNASKED_FRAMES):
            frame = self._next_frame(deadline)
            if frame.request_id == request_id:
                return _unless_error(frame)
            # A pushed status has no request id; a late answer to an abandoned request is dropped.
            self._note_status(frame)
        raise _flood()

    def _next_frame(self, deadline: float) -> Frame:
        while not self._arrived:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise ReplicaSilent("the worker did not answer in time")
            self._socket.settimeout(remaining)
            try:
                return self._receive()
            except TimeoutError:
                continue
            except BlockingIOError:
                continue
        return self._arrived.pop(0)

    def _receive(self) -> Frame:
        """Return the next frame. The socket's TimeoutError and BlockingIOError pass through."""
        while not self._arrived:
            try:
                data = self._socket.recv(_READ_SIZE)
            except (TimeoutError, BlockingIOError):
                raise
            except OSError as error:
                raise ReplicaGone(f"the worker is gone: {error}") from error
            if not data:
                raise ReplicaGone("the worker closed the connection")
            self._arrived += self._reader.feed(data)
        return self._arrived.pop(0)

    def _note_status(self, frame: Frame) -> None:
        if frame.kind == frames.STATUS:
            self.status = read_status(frame)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _flood() -> ProtocolError:
    return ProtocolError(f"the worker sent {_MAX_UNASKED_FRAMES} frames in a row that answer no request")


def _unless_error(frame: Frame) -> Frame:
    if frame.kind != frames.ERROR:
        return frame
    error = read_error(frame)
    raise ScoringFailed(error.kind, error.type_name, error.message, error.reference)
