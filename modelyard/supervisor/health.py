"""`run/healthy`: a file that is touched every second while all processes run, so that its age is a health check."""

import time
from contextlib import suppress
from pathlib import Path

from modelyard.core.data_dir import DataDir

_TOUCH_SECONDS = 1.0


class HealthFile:
    def __init__(self, data: DataDir) -> None:
        self.path: Path = data.run / "healthy"
        self._due_at = 0.0

    def touch(self) -> None:
        """Touch the file, at most once a second."""
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + _TOUCH_SECONDS
        # A full disk refuses a new file, and still lets an existing one be touched.
        with suppress(OSError):
            self.path.touch()

    def remove(self) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
