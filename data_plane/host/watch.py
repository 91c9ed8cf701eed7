"""One thread for each guest: speaks with it, so that a guest that is silent holds up nobody else.

It learns of "ready" and of the guest's end in the moment they happen, sends the liveness probes between them, and
passes a drain on. What it knows is read by the host's main thread, which alone decides.
"""

import logging
import os
import select
import threading
import time
from collections.abc import Callable

from data_plane.guests.connection import GuestConnection, GuestGone, GuestSilent, GuestStatus
from data_plane.guests.guest_process import GuestProcess, wait_for_end
from data_plane.host.running import Phase
from modelyard.core.domain.deployment import Probe

_log = logging.getLogger(__name__)

_HELLO_SECONDS = 5.0
_RECONNECT_SECONDS = 0.5


class Watch:
    """Plain attributes: the thread writes them, and a reader may be a moment behind."""

    def __init__(
        self, guest: GuestProcess, probe: Probe, changed: Callable[[], None], *, phase: Phase = Phase.LOADING
    ) -> None:
        self.probe = probe
        self.phase = phase
        self.error: str | None = None
        """The model's own error, when it failed to load."""
        self.ready_at: float | None = None
        self.missed_probes = 0
        self.has_ended = False
        self._guest = guest
        self._changed = changed
        self._drain_seconds: float | None = None
        self._wake_reader, self._wake_writer = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"watch-{guest.guest_id}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def drain(self, seconds: float) -> None:
        self._drain_seconds = seconds
        os.write(self._wake_writer, b"\0")

    def close(self) -> None:
        """After the guest's end."""
        self._thread.join()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _run(self) -> None:
        while self._guest.is_running():
            try:
                with GuestConnection(self._guest.socket, timeout=_HELLO_SECONDS) as connection:
                    self._follow(connection)
            except GuestSilent:
                self._note_silence()
            except Exception as error:  # noqa: BLE001 - the user's code shares the guest: anything may come from there
                if not isinstance(error, GuestGone):
                    _log.warning("worker %s does not speak as it should: %r", self._guest.guest_id, error)
                self._note_loss()
                wait_for_end(self._guest, _RECONNECT_SECONDS)
        self.has_ended = True
        self._changed()

    def _follow(self, connection: GuestConnection) -> None:
        """For as long as the connection lives."""
        probe_at = time.monotonic() + self.probe.period_seconds
        while True:
            # Before waiting: what came together with an answer is read already, and would wake nobody.
            self._take(connection.poll())
            self._pass_drain_on(connection)
            select.select([connection.fileno(), self._wake_reader], [], [], max(0.0, probe_at - time.monotonic()))
            if time.monotonic() >= probe_at:
                self._send_probe(connection)
                probe_at = time.monotonic() + self.probe.period_seconds

    def _take(self, status: GuestStatus) -> None:
        self.error = status.error
        if status.state == "ready" and self.ready_at is None:
            self.ready_at = time.time()
        if status.state == "ready" and self.phase != Phase.READY:
            self.phase = Phase.READY
            self._changed()

    def _send_probe(self, connection: GuestConnection) -> None:
        if self.phase == Phase.LOADING:
            return  # The readiness probe's patience bounds how long that may take.
        try:
            connection.ping(self.probe.timeout_seconds)
        except GuestSilent:
            self.missed_probes += 1
        else:
            self.missed_probes = 0

    def _pass_drain_on(self, connection: GuestConnection) -> None:
        if self._drain_seconds is not None:
            seconds, self._drain_seconds = self._drain_seconds, None
            os.read(self._wake_reader, 1)
            connection.drain(seconds)

    def _note_silence(self) -> None:
        """Native code that does not let the guest's other thread run silences it; gateways still get their answers."""
        if self.phase != Phase.LOADING:
            self.missed_probes += 1

    def _note_loss(self) -> None:
        self._note_silence()
        if self.phase == Phase.READY:
            self.phase = Phase.LOST
            self._changed()
