"""Waiting for a server that does not answer yet: said aloud now and then, and not for ever."""

import time
from collections.abc import Callable

from modelyard.core.errors import PlatformError
from modelyard.supervisor.options import Say, StartRefused

_SAY_SECONDS = 5.0
_PAUSE_SECONDS = 0.1


class NotYet(Exception):
    """It may answer in a moment; the message says why it does not now."""


class Patience:
    """One for all that a start waits for."""

    def __init__(self, seconds: float, say: Say) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._say = say

    def wait_for(self, what: str, answers: Callable[[], None]) -> None:
        """Return once `answers` does so without NotYet. Raises StartRefused when patience has run out."""
        said_at: float | None = None
        while True:
            try:
                answers()
                return
            except NotYet as reason:
                if time.monotonic() >= self._deadline:
                    raise self._over(what, reason) from None
                if said_at is None or time.monotonic() - said_at >= _SAY_SECONDS:
                    self._say(f"waiting for {what}: {reason}")
                    said_at = time.monotonic()
            time.sleep(_PAUSE_SECONDS)

    def _over(self, what: str, reason: NotYet) -> PlatformError:
        return StartRefused(
            f"{what} does not answer: {reason} (waited {self._seconds:g} s; MODELYARD_START_PATIENCE sets how long)"
        )
