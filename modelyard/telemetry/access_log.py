"""The access log: one JSON object a line for each HTTP request, in a bounded set of files.

A record holds the path's template (`/models/{name}`), never the path as sent: names, keys, signatures and query
strings of clients stay out of the log, and so do headers and bodies.
"""

import json
import logging
import time
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

UNMATCHED = "(unmatched)"
"""The template of a request without a route, or refused before routing."""


@dataclass(frozen=True, slots=True)
class AccessRecord:
    started_at: float
    """Seconds since the epoch."""
    method: str
    path_template: str
    status: int
    duration_seconds: float
    request_bytes: int
    """Received bytes of the body."""
    response_bytes: int
    """Sent bytes of the body."""
    request_id: str

    def to_json(self) -> str:
        whole, milliseconds = divmod(int(self.started_at * 1000), 1000)
        return json.dumps(
            {
                "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{milliseconds:03d}Z",
                "method": self.method,
                "path": self.path_template,
                "status": self.status,
                "duration_ms": round(self.duration_seconds * 1000, 3),
                "request_bytes": self.request_bytes,
                "response_bytes": self.response_bytes,
                "request_id": self.request_id,
            }
        )


class AccessLog:
    """Appends records to `file`; at `max_bytes` the file becomes `<file>.1`, and `<file>.<files - 1>` is the last."""

    def __init__(self, file: Path, *, max_bytes: int, files: int) -> None:
        self._handler = _QuietHandler(file, maxBytes=max_bytes, backupCount=files - 1, delay=True, encoding="utf-8")

    def write(self, record: AccessRecord) -> None:
        """Callable from any thread. A full disk drops the record: no request fails by the log."""
        line = logging.LogRecord("access", logging.INFO, "", 0, record.to_json(), None, None)
        self._handler.handle(line)

    def close(self) -> None:
        self._handler.close()


class _QuietHandler(RotatingFileHandler):
    is_closed = False

    def close(self) -> None:
        self.is_closed = True
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        # The standard library opens the file again for a record after the close.
        if not self.is_closed:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is the standard library's
        """Say nothing: on a full disk, a traceback for each request would fill the process's own log."""
