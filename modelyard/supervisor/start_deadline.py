"""Waiting for database, broker and object store at a start, with one deadline."""

import time
from collections.abc import Callable

from modelyard.supervisor.options import Announce, StartRefused

_ANNOUNCE_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


class NotReady(Exception):
    """A server may be ready in a moment; the message says why it is not ready now."""


class StartDeadline:
    def __init__(self, seconds: float, announce: Announce) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._announce = announce

    def wait_for(self, server: str, check: Callable[[], None]) -> None:
        """Call `check` until the first call without NotReady. Raises StartRefused at the deadline."""
        announced_at: float | None = None
        while True:
            try:
                check()
                return
            except NotReady as reason:
                if time.monotonic() >= self._deadline:
                    raise self._expired(server, reason) from None
                if announced_at is None or time.monotonic() - announced_at >= _ANNOUNCE_SECONDS:
                    self._announce(f"waiting for {server}: {reason}")
                    announced_at = time.monotonic()
            time.sleep(_PAUSE_SECONDS)

    def _expired(self, server: str, reason: NotReady) -> StartRefused:
        waited = f"waited {self._seconds:g} s; MODELYARD_START_PATIENCE sets the limit"
        return StartRefused(f"{server} does not answer: {reason} ({waited})")
