"""A blocking connection to a model worker, for the host and for batch: hello, ping, drain, score.

For a single thread, with a single request at a time. A worker pushes a status at every change of state; `status` holds
the latest.
"""

import itertools
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from data_plane.replicas.port import ReplicaGone, ReplicaSilent, ScoringFailed
from data_plane.scoring.payload.values import Payload, Result
from data_plane.scoring.wire.decode import decode_result
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker import frames
from data_plane.worker.frames import Buffer, Frame, FrameReader, ProtocolError

Role = Literal["host", "gateway"]

_READ_SIZE = 1 << 18


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    worker_id: str
    generation: int
    pid: int
    state: Literal["loading", "ready", "failed"]
    error: str | None
    python: str
    started_at: float


@dataclass(frozen=True, slots=True)
class Pong:
    state: str
    busy_for: float | None
    """Seconds that the model has been at work on the current batch."""

    overdue_for: float | None
    """Seconds since the deadline of the current batch; None before that deadline, and for an idle worker."""

    answered: int


class BlockingWorkerConnection:
    def __init__(self, path: Path, *, role: Role = "host", timeout: float = 5.0) -> None:
        """Connect and send HELLO. Raises ReplicaGone or ReplicaSilent."""
        self._ids = itertools.count(1)
        self._reader = FrameReader()
        self._arrived: list[Frame] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connect(path, timeout)
            answer = self._ask(frames.HELLO, {"protocol": [frames.VERSION], "role": role}, timeout)
            self.status = _status(answer)
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
        answer = _meta(self._ask(frames.PING, {}, timeout))
        # A worker of an earlier platform version sends no `overdue_for`.
        return Pong(answer["state"], answer["busy_for"], answer.get("overdue_for"), answer["answered"])

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
        return decode_result(answer.meta, answer.body)

    def poll(self) -> WorkerStatus:
        """Return the latest status from the frames that have arrived, without waiting."""
        self._socket.setblocking(False)
        try:
            while True:
                self._note_status(self._arrived.pop(0) if self._arrived else self._receive())
        except BlockingIOError:
            return self.status

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
        while True:
            frame = self._next_frame(deadline)
            if frame.request_id == request_id:
                return _unless_error(frame)
            # A pushed status has no request id; a late answer to an abandoned request is dropped.
            self._note_status(frame)

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
            self.status = _status(frame)

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


def _meta(frame: Frame) -> dict[str, Any]:
    return frames.unpack_meta(frame.meta)


def _unless_error(frame: Frame) -> Frame:
    if frame.kind != frames.ERROR:
        return frame
    meta = _meta(frame)
    raise ScoringFailed(meta["error"], meta["type"], meta["message"], meta["reference"])


def _status(frame: Frame) -> WorkerStatus:
    meta = _meta(frame)
    if frame.kind != frames.STATUS or meta.get("protocol") != frames.VERSION:
        raise ProtocolError(f"the worker answered HELLO with {json.dumps(meta)[:200]}")
    names = ("worker_id", "generation", "pid", "state", "error", "python", "started_at")
    return WorkerStatus(**{name: meta[name] for name in names})
