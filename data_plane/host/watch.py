"""One thread for each worker: speaks with it, so that a worker that is silent holds up nobody else.

It learns of "ready" and of the worker's end in the moment they happen, pings between them (liveness probes, and glances
that tell whether a request has outlived its deadline), and passes a drain on. What it knows is read by the host's main
thread, which alone decides.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Callable

from data_plane.host.running import Phase
from data_plane.replicas.local.blocking_connection import (
    BlockingWorkerConnection,
    WorkerGone,
    WorkerSilent,
    WorkerStatus,
)
from data_plane.replicas.local.worker_process import WorkerProcess, wait_for_end
from modelyard.core.domain.deployment import Probe

_log = logging.getLogger(__name__)

_HELLO_SECONDS = 5.0
_RECONNECT_SECONDS = 0.5
_GLANCE_SECONDS = 1.0
# A busy machine keeps a worker from answering for a while: that alone says nothing about its request.
_SHORTEST_SILENCE_SECONDS = 5.0


class Watch:
    """Plain attributes: the thread writes them, and a reader may be a moment behind."""

    def __init__(
        self,
        worker: WorkerProcess,
        probe: Probe,
        changed: Callable[[], None],
        *,
        request_seconds: float,
        phase: Phase = Phase.LOADING,
    ) -> None:
        """`request_seconds`: how long a request may take, from its arrival to its deadline."""
        self.probe = probe
        self.phase = phase
        self.error: str | None = None
        """The model's own error, when it failed to load."""
        self.ready_at: float | None = None
        self.missed_probes = 0
        self.has_ended = False
        self._worker = worker
        self._changed = changed
        self._longest_silence = max(request_seconds, _SHORTEST_SILENCE_SECONDS)
        self._silent_since: float | None = None
        self._deadline: float | None = None
        """Of the request that it is at work on, when that has passed."""
        self._drain_seconds: float | None = None
        self._wake_reader, self._wake_writer = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"watch-{worker.worker_id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def overdue_for(self) -> float | None:
        """Seconds since the deadline of the request that it is at work on; None before that, and while it is idle.

        Native code that does not let the worker's other thread run silences it. Once the silence has lasted for longer
        than any request may, what causes it is overdue.
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
        """After the worker's end."""
        self._thread.join()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _run(self) -> None:
        while self._worker.is_running():
            try:
                with BlockingWorkerConnection(self._worker.socket, timeout=_HELLO_SECONDS) as connection:
                    self._follow(connection)
            except WorkerSilent:
                self._note_silence()
            except Exception as error:  # noqa: BLE001 - the user's code shares the worker: anything may come from there
                if not isinstance(error, WorkerGone):
                    _log.warning("worker %s does not speak as it should: %r", self._worker.worker_id, error)
                self._note_loss()
                wait_for_end(self._worker, _RECONNECT_SECONDS)
        self.has_ended = True
        self._changed()

    def _follow(self, connection: BlockingWorkerConnection) -> None:
        """For as long as the connection lives."""
        probe_at = time.monotonic() + self.probe.period_seconds
        glance_at = time.monotonic()
        while True:
            # Before waiting: what came together with an answer is read already, and would wake nobody.
            self._take(connection.poll())
            self._pass_drain_on(connection)
            patience = max(0.0, min(probe_at, glance_at) - time.monotonic())
            select.select([connection.fileno(), self._wake_reader], [], [], patience)
            asked_at = time.monotonic()
            if asked_at < min(probe_at, glance_at):
                continue
            self._ping(connection, counts=asked_at >= probe_at)
            glance_at = time.monotonic() + _GLANCE_SECONDS
            if asked_at >= probe_at:
                probe_at = time.monotonic() + self.probe.period_seconds

    def _take(self, status: WorkerStatus) -> None:
        self.error = status.error
        if status.state == "ready" and self.ready_at is None:
            self.ready_at = time.time()
        if status.state == "ready" and self.phase != Phase.READY:
            self.phase = Phase.READY
            self._changed()

    def _ping(self, connection: BlockingWorkerConnection, *, counts: bool) -> None:
        """A glance that is not answered does not count as a missed probe."""
        if self.phase == Phase.LOADING:
            return  # The readiness probe's patience bounds how long that may take.
        asked_at = time.monotonic()
        try:
            late = connection.ping(self.probe.timeout_seconds).overdue_for
        except WorkerSilent:
            self._silent_since = self._silent_since or asked_at
            self.missed_probes += counts
        else:
            self._silent_since = None
            self._deadline = None if late is None else time.monotonic() - late
            self.missed_probes = 0

    def _pass_drain_on(self, connection: BlockingWorkerConnection) -> None:
        if self._drain_seconds is not None:
            seconds, self._drain_seconds = self._drain_seconds, None
            os.read(self._wake_reader, 1)
            connection.drain(seconds)

    def _note_silence(self) -> None:
        """It does not even say hello."""
        if self.phase != Phase.LOADING:
            self._silent_since = self._silent_since or time.monotonic() - _HELLO_SECONDS
            self.missed_probes += 1

    def _note_loss(self) -> None:
        self._note_silence()
        if self.phase == Phase.READY:
            self.phase = Phase.LOST
            self._changed()
