"""Exclusive model workers of a batch worker, ended with the batch worker's process."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from data_plane.replicas.local import machine
from data_plane.replicas.local.blocking_connection import BlockingWorkerConnection
from data_plane.replicas.local.exit_reason import exit_reason
from data_plane.replicas.local.spawn import LaunchSettings, spawn
from data_plane.replicas.local.worker_process import (
    BATCH_WORKER_LABEL,
    WorkerProcess,
    find_all,
    kill,
    remove,
    wait_for_end,
)
from data_plane.replicas.port import ModelNotLoaded, ReplicaGone, ReplicaSpec
from data_plane.scoring.payload.values import Payload, Result
from data_plane.worker import frames
from data_plane.worker.frames import ProtocolError
from modelyard.core.domain.storable_text import storable_text
from modelyard.process.rotated_log import RotatedLog

_CONNECT_SECONDS = 30.0
_END_SECONDS = 10.0
_LOG_PIECE_BYTES = 1 << 20
_LOG_PIECES = 4
_LOG_SECONDS = 1.0


class ExclusiveWorker:
    def __init__(
        self,
        process: WorkerProcess,
        end_orphans: Callable[[], None],
        *,
        max_answer_bytes: int = frames.MAX_BODY_BYTES,
    ) -> None:
        """`end_orphans` ends the processes of a worker whose shim was killed."""
        self._process = process
        self._end_orphans = end_orphans
        self._max_answer_bytes = max_answer_bytes
        self._connection: BlockingWorkerConnection | None = None
        self._log = RotatedLog(process.log)

    def load(self, timeout: float) -> None:
        with self._ending_after_protocol_error():
            self._connection = BlockingWorkerConnection(
                self._process.socket, timeout=_CONNECT_SECONDS, max_answer_bytes=self._max_answer_bytes
            )
            status = self._connection.wait_until_loaded(timeout)
        if status.state == "failed":
            raise ModelNotLoaded(str(status.error))

    def score(self, payload: Payload, *, timeout: float, params: Mapping[str, Any] | None = None) -> Result:
        assert self._connection is not None, "load() comes before score()"
        with self._ending_after_protocol_error():
            return self._connection.score(payload, params=params, timeout=timeout)

    @contextmanager
    def _ending_after_protocol_error(self) -> Iterator[None]:
        """End a worker with an unreadable message: nothing later on the connection can be trusted."""
        try:
            yield
        except ProtocolError as error:
            reason = f"the worker sent a message that cannot be read: {storable_text(error)}"
            kill(self._process, reason)
            raise ReplicaGone(reason) from error

    def read_log(self, *, until: str | None = None) -> bytes:
        """Return at most the last 4 MB: a model may print without end.

        The process shim writes the log a moment after the worker's message arrives here.
        """
        output = self._read_rest()
        deadline = time.monotonic() + _LOG_SECONDS
        while until is not None and until.encode() not in output and time.monotonic() < deadline:
            time.sleep(0.01)
            output = (output + self._read_rest())[-_LOG_PIECES * _LOG_PIECE_BYTES :]
        return output

    def _read_rest(self) -> bytes:
        pieces: deque[bytes] = deque(maxlen=_LOG_PIECES)
        left_out = 0
        while content := self._log.peek(_LOG_PIECE_BYTES).content:
            if len(pieces) == _LOG_PIECES:
                left_out += len(pieces[0])
            pieces.append(content)
            self._log.advance(len(content))
        note = b"%d bytes left out\n" % left_out if left_out else b""
        return b"".join([note, *pieces])

    @property
    def is_alive(self) -> bool:
        return self._process.process.is_running()

    def memory(self) -> int:
        return machine.resident_memory(self._process.pid)

    def exit_reason(self, *, wait: float) -> str | None:
        wait_for_end(self._process, wait)
        return exit_reason(self._process)

    def kill(self, reason: str) -> None:
        kill(self._process, reason)

    def close(self, reason: str) -> bytes:
        if self._connection is not None:
            self._connection.close()
        kill(self._process, reason)
        wait_for_end(self._process, _END_SECONDS)
        if not self._process.exit_file.exists():
            self._end_orphans()
        output = self._read_rest()
        remove(self._process, keep_log=False)
        return output


class LocalLauncher:
    """Holds the write end of the workers' lifeline: when the caller's process ends, the shims end the workers."""

    def __init__(self, settings: LaunchSettings, owner: str, *, max_answer_bytes: int = frames.MAX_BODY_BYTES) -> None:
        """`owner` names the caller, and the caller's successor after a restart."""
        self._owner = owner
        self._max_answer_bytes = max_answer_bytes
        self._lifeline, self._lifeline_end = os.pipe()
        self._settings = replace(settings, lifeline_fd=self._lifeline)

    def launch(self, spec: ReplicaSpec) -> ExclusiveWorker:
        labels = {**spec.labels, BATCH_WORKER_LABEL: self._owner}
        worker = spawn(replace(spec, labels=labels), self._settings)
        return ExclusiveWorker(worker, self._settings.end_orphans, max_answer_bytes=self._max_answer_bytes)

    def end_predecessors(self) -> None:
        for process in find_all(self._settings.data_dir.worker_run_files):
            if process.labels.get(BATCH_WORKER_LABEL) == self._owner:
                ExclusiveWorker(process, self._settings.end_orphans).close("the batch worker has ended")

    def available_memory(self) -> int | None:
        return machine.available_memory()

    def close(self) -> None:
        os.close(self._lifeline_end)
