"""A blocking connection to one model worker, for the host: hello, ping, drain, score.

One thread uses it at a time, and one question is under way at a time. A worker pushes its status when that changes;
the latest is in `status`.
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

from data_plane.scoring.payload.values import Payload, Result
from data_plane.scoring.wire.decode import decode_result
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker import frames
from data_plane.worker.frames import Buffer, Frame, FrameReader, ProtocolError

Role = Literal["host", "gateway"]

_READ_SIZE = 1 << 18


class WorkerGone(Exception):
    """The worker does not listen, or closed the connection: it has ended, or is about to."""


class WorkerSilent(Exception):
    """The worker did not answer in time."""


class ScoringFailed(Exception):
    """The worker answered ERROR instead of RESULT."""

    def __init__(self, kind: str, type_name: str, message: str, reference: str | None) -> None:
        super().__init__(f"{type_name}: {message}")
        self.kind = kind
        self.type_name = type_name
        self.message = message
        self.reference = reference
        """Stands in the worker's log beside the traceback."""


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
    """Seconds that the model has been at work on the present batch."""

    overdue_for: float | None
    """Seconds since the deadline of the present batch; None before it, and while nothing is at work."""

    answered: int


class BlockingWorkerConnection:
    def __init__(self, path: Path, *, role: Role = "host", timeout: float = 5.0) -> None:
        """Connects and says hello. Raises WorkerGone or WorkerSilent."""
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
            raise WorkerSilent(f"the worker at {path} does not accept the connection") from None
        except OSError as error:
            raise WorkerGone(f"no worker listens at {path}: {error}") from error

    def ping(self, timeout: float = 2.0) -> Pong:
        answer = _meta(self._ask(frames.PING, {}, timeout))
        # A worker that an earlier version of the platform started does not say whether it is overdue.
        return Pong(answer["state"], answer["busy_for"], answer.get("overdue_for"), answer["answered"])

    def drain(self, seconds: float) -> None:
        """Have the worker finish what it received, and end when the last gateway has closed its connection."""
        self._send(frames.pack_json(frames.DRAIN, next(self._ids), {"deadline": seconds}), timeout=seconds)

    def wait_until_loaded(self, timeout: float) -> WorkerStatus:
        """The status once it is `ready` or `failed`. Raises WorkerSilent at the timeout, WorkerGone at its end."""
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
        question = encode_score(
            payload, request_id=request_id, params=params, request_ids=request_ids, deadline=deadline
        )
        self._send(question, timeout)
        answer = self._answer(request_id, timeout)
        return decode_result(answer.meta, answer.body)

    def poll(self) -> WorkerStatus:
        """The latest status, after reading what has arrived without waiting for more."""
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
            raise WorkerSilent("the worker does not read") from None
        except OSError as error:
            raise WorkerGone(f"the worker is gone: {error}") from error

    def _answer(self, request_id: int, timeout: float) -> Frame:
        deadline = time.monotonic() + timeout
        while True:
            frame = self._next_frame(deadline)
            if frame.request_id == request_id:
                return _unless_error(frame)
            # The status that a worker pushes has no request; a late answer to an abandoned question is nobody's.
            self._note_status(frame)

    def _next_frame(self, deadline: float) -> Frame:
        while not self._arrived:
            patience = deadline - time.monotonic()
            if patience <= 0:
                raise WorkerSilent("the worker did not answer in time")
            self._socket.settimeout(patience)
            try:
                return self._receive()
            except TimeoutError:
                continue
            except BlockingIOError:
                continue
        return self._arrived.pop(0)

    def _receive(self) -> Frame:
        """The next frame, from as many reads as it takes. What the socket's timeout raises passes through."""
        while not self._arrived:
            try:
                data = self._socket.recv(_READ_SIZE)
            except (TimeoutError, BlockingIOError):
                raise
            except OSError as error:
                raise WorkerGone(f"the worker is gone: {error}") from error
            if not data:
                raise WorkerGone("the worker closed the connection")
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
        raise ProtocolError(f"a worker answered a hello with {json.dumps(meta)[:200]}")
    names = ("worker_id", "generation", "pid", "state", "error", "python", "started_at")
    return WorkerStatus(**{name: meta[name] for name in names})
