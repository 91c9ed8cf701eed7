"""A thread for each worker of the host, so that a silent worker delays only the worker's monitor.

The monitor learns of "ready" and of the worker's end at once, pings in between (liveness probes, and checks for an
overdue request), and passes a drain on. The host's main thread reads the monitor's attributes and alone decides.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Callable

from data_plane.replicas.local.blocking_connection import BlockingWorkerConnection
from data_plane.replicas.local.worker_messages import WorkerStatus
from data_plane.replicas.local.worker_process import WorkerProcess, wait_for_end
from data_plane.replicas.port import Phase, ReplicaGone, ReplicaSilent
from modelyard.core.domain.deployment import Probe
from modelyard.core.domain.storable_text import storable_text

_log = logging.getLogger(__name__)

_HELLO_SECONDS = 5.0
_RECONNECT_SECONDS = 0.5
_OVERDUE_CHECK_SECONDS = 1.0
# On a busy machine a worker may be silent for a while: a short silence is no sign of an overdue request.
_SHORTEST_SILENCE_SECONDS = 5.0
_MAX_LOGGED = 300


class WorkerMonitor:
    """Plain attributes: the monitor's thread writes them, and a reader may be a moment behind."""

    def __init__(
        self,
        worker: WorkerProcess,
        probe: Probe,
        changed: Callable[[], None],
        *,
        request_seconds: float,
        phase: Phase = Phase.STARTING,
    ) -> None:
        """`request_seconds` is the longest time from arrival to deadline of a request."""
        self.probe = probe
        self.phase = phase
        self.error: str | None = None
        """The model's own error, when the model failed to load."""
        self.ready_at: float | None = None
        self.missed_probes = 0
        self.protocol_fault: str | None = None
        """The fault that a gateway found in the worker's messages."""
        self.has_ended = False
        self._worker = worker
        self._changed = changed
        self._longest_silence = max(request_seconds, _SHORTEST_SILENCE_SECONDS)
        self._silent_since: float | None = None
        self._deadline: float | None = None
        """Deadline of the request at work, once the deadline has passed."""
        self._drain_seconds: float | None = None
        self._wake_reader, self._wake_writer = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"monitor-{worker.worker_id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def overdue_for(self) -> float | None:
        """Seconds since the deadline of the request at work; None before that deadline, and for an idle worker.

        Native code with a hold on Python's lock silences the worker. A silence longer than any request may take means
        an overdue request.
        """
        now, deadline = time.monotonic(), self._deadline
        if (since := self._silent_since) is not None:
            silenced = since + self._longest_silence
            deadline = silenced if deadline is None else min(deadline, silenced)
        return now - deadline if deadline is not None and now > deadline else None

    def drain(self, seconds: float) -> None:
        self._drain_seconds = seconds
        os.write(self._wake_writer, b"\0")

    def close(self) -> None:
        """Release the thread and descriptors; call after the worker's end."""
        self._thread.join()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _run(self) -> None:
        while self._worker.is_running():
            try:
                with _connect(self._worker) as connection:
                    self._follow(connection)
            except ReplicaSilent:
                self._note_silence()
            except Exception as error:  # noqa: BLE001 - user code shares the worker's process and may send anything
                if not isinstance(error, ReplicaGone):
                    reason = storable_text(repr(error), max_characters=_MAX_LOGGED)
                    _log.warning("worker %s broke the protocol: %s", self._worker.worker_id, reason)
                self._note_loss()
                wait_for_end(self._worker, _RECONNECT_SECONDS)
        self.has_ended = True
        self._changed()

    def _follow(self, connection: BlockingWorkerConnection) -> None:
        """Follow the worker until the connection ends, which raises."""
        probe_at = time.monotonic() + self.probe.period_seconds
        check_at = time.monotonic()
        while True:
            # Before `select`: a status read together with an answer would not wake `select`.
            self._take(connection.poll())
            self._pass_drain_on(connection)
            timeout = max(0.0, min(probe_at, check_at) - time.monotonic())
            select.select([connection.fileno(), self._wake_reader], [], [], timeout)
            asked_at = time.monotonic()
            if asked_at < min(probe_at, check_at):
                continue
            self.protocol_fault = self._worker.protocol_fault()
            self._ping(connection, is_probe=asked_at >= probe_at)
            check_at = time.monotonic() + _OVERDUE_CHECK_SECONDS
            if asked_at >= probe_at:
                probe_at = time.monotonic() + self.probe.period_seconds

    def _take(self, status: WorkerStatus) -> None:
        self.error = status.error
        if status.state == "ready" and self.ready_at is None:
            self.ready_at = time.time()
        if status.state == "ready" and self.phase != Phase.READY:
            self.phase = Phase.READY
            self._changed()

    def _ping(self, connection: BlockingWorkerConnection, *, is_probe: bool) -> None:
        """An unanswered overdue check is not a missed probe."""
        if self.phase == Phase.STARTING:
            return  # The readiness probe bounds the time to load.
        asked_at = time.monotonic()
        try:
            late = connection.ping(self.probe.timeout_seconds).overdue_for
        except ReplicaSilent:
            self._silent_since = self._silent_since or asked_at
            self.missed_probes += is_probe
            self._changed()
        else:
            self._silent_since = None
            self._deadline = None if late is None else time.monotonic() - late
            self.missed_probes = 0
            if late is not None:
                self._changed()

    def _pass_drain_on(self, connection: BlockingWorkerConnection) -> None:
        if self._drain_seconds is not None:
            seconds, self._drain_seconds = self._drain_seconds, None
            os.read(self._wake_reader, 1)
            connection.drain(seconds)

    def _note_silence(self) -> None:
        """Note that not even a HELLO was answered."""
        if self.phase != Phase.STARTING:
            self._silent_since = self._silent_since or time.monotonic() - _HELLO_SECONDS
            self.missed_probes += 1

    def _note_loss(self) -> None:
        self._note_silence()
        if self.phase == Phase.READY:
            self.phase = Phase.LOST
            self._changed()


def _connect(worker: WorkerProcess) -> BlockingWorkerConnection:
    """Connect for statuses and pings alone: the host takes no result from a worker."""
    return BlockingWorkerConnection(worker.socket, timeout=_HELLO_SECONDS, max_answer_bytes=0)
