"""Silence of a heartbeat, measured in the supervisor's own waking time.

A supervisor that was stopped itself, or a machine that slept, must not count the pause as silence of the processes.
"""

import time
from pathlib import Path

# The supervisor looks five times a second. A longer pause says nothing about the process that is looked at.
_LONGEST_LOOK_SECONDS = 0.5


class Silence:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.seconds = 0.0
        self.has_beaten = False
        """Whether the process has beaten since its start."""
        self._seen = 0
        self._looked_at = 0.0

    def begin(self) -> None:
        """Begin with a new process, which has not beaten yet."""
        self.path.touch(mode=0o600)
        self._seen, self._looked_at = self._modified(), time.monotonic()
        self.seconds, self.has_beaten = 0.0, False

    def look(self, *, counts: bool = True) -> None:
        """Update `seconds`. Without `counts` the time since the last look is no silence."""
        now, modified = time.monotonic(), self._modified()
        if modified != self._seen:
            self._seen, self.seconds, self.has_beaten = modified, 0.0, True
        elif counts:
            self.seconds += min(now - self._looked_at, _LONGEST_LOOK_SECONDS)
        self._looked_at = now

    def _modified(self) -> int:
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return self._seen
