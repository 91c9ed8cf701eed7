"""`run/healthy`: touched every second while all processes run; a health check looks at the age of the file."""

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
        # A full disk refuses a new file, but not a touch of an existing file.
        with suppress(OSError):
            self.path.touch()

    def remove(self) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
