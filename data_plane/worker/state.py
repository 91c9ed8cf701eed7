"""The worker's state: written by the main thread, sent in STATUS and PONG frames."""

import os
import platform
import time
from typing import Any, Dict, Optional

from .configuration import Configuration
from .frames import VERSION

LOADING = "loading"
READY = "ready"
FAILED = "failed"


class WorkerState:
    """Plain attributes: each has one writer, and a reader may be a moment behind."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._started_at = time.time()
        self.state = LOADING
        self.error: Optional[str] = None
        self.busy_since: Optional[float] = None
        self.deadline: Optional[float] = None
        """Deadline of the request at work, on the system's clock; after the deadline no caller waits."""

        self.answered = 0

    def status(self) -> Dict[str, Any]:
        return {
            "protocol": VERSION,
            "worker_id": self._configuration.worker_id,
            "generation": self._configuration.generation,
            "pid": os.getpid(),
            "state": self.state,
            "error": self.error,
            "python": platform.python_version(),
            "started_at": self._started_at,
        }

    def pong(self) -> Dict[str, Any]:
        since, deadline = self.busy_since, self.deadline
        busy_for = None if since is None else time.monotonic() - since
        late = 0.0 if deadline is None else time.time() - deadline
        return {
            "state": self.state,
            "busy_for": busy_for,
            "overdue_for": late if late > 0 else None,
            "answered": self.answered,
        }
