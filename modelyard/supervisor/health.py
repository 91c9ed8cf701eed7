"""`run/healthy`: a file touched every second while everything runs, for a health check that only looks at its age."""

import time
from contextlib import suppress
from pathlib import Path

from modelyard.core.data_dir import DataDir

_SECONDS = 1.0


class Health:
    def __init__(self, data: DataDir) -> None:
        self.file: Path = data.run / "healthy"
        self._due = 0.0

    def all_is_well(self) -> None:
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _SECONDS
        # A full disk costs a new file, not the touching of one that is there.
        with suppress(OSError):
            self.file.touch()

    def over(self) -> None:
        with suppress(OSError):
            self.file.unlink(missing_ok=True)
