"""Deployment logs: numbered chunks in the object store, written by whoever produces them and read by getLogs.

A chunk's key is `logs/<log>/<container>/<nanoseconds>-<source>`, so that chunks of all sources sort by time and getLogs
needs nothing but the store, on whichever machine it runs. A log is named by its deployment's id.
"""

import logging
import threading
import time
from collections import deque
from datetime import UTC, datetime
from functools import partial

from modelyard.core.ports.object_store import ObjectMissing, ObjectStore, StoreRefused, StoreUnavailable

_log = logging.getLogger(__name__)

STORAGE_INITIALIZER = "StorageInitializer"
INFERENCE_SERVER = "InferenceServer"

_FLUSH_SECONDS = 1.0
_FLUSH_BYTES = 64 << 10
_MOST_KEPT_BYTES = 4 << 20
_LONGEST_TAIL_BYTES = 16 << 20


def utc_stamp() -> str:
    """`2022-12-24 07:37:55,976`, as Azure's inference server prints it."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}"


LogName = int | str
"""An online deployment's id, or what `batch_log` makes of a batch deployment's."""


def batch_log(deployment_id: int) -> str:
    return f"batch-{deployment_id}"


def ship(store: ObjectStore, log: LogName, container: str, source: str, content: list[bytes]) -> None:
    """Append one chunk to a deployment's log."""
    store.put(f"logs/{log}/{container}/{time.time_ns():020d}-{source}", content)


class LogWriter:
    """Collects lines and ships them each second or 64 KB, from whichever thread comes by then or on close.

    While the store does not take them they are kept, the last 4 MB of them: no build fails by its log.
    """

    def __init__(self, store: ObjectStore, log: LogName, container: str, source: str) -> None:
        self._ship = partial(ship, store, log, container, source)
        self._lock = threading.Lock()
        self._pending: list[bytes] = []
        self._size = 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._flush_each_second, name="log-writer", daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Append a line with the time in front."""
        self.raw(f"{utc_stamp()} I {text.rstrip()}\n".encode(errors="replace"))

    def raw(self, content: bytes) -> None:
        """Append bytes that carry their own times."""
        with self._lock:
            self._pending.append(content)
            self._size += len(content)
            full = self._size >= _FLUSH_BYTES
        if full:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            if not self._pending:
                return
            try:
                self._ship(self._pending)
            except (StoreUnavailable, StoreRefused, OSError) as error:
                _log.warning("log lines wait for the object store: %s", error)
                self._pending = [b"".join(self._pending)[-_MOST_KEPT_BYTES:]]
            else:
                self._pending = []
            self._size = 0

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self.flush()

    def _flush_each_second(self) -> None:
        while not self._closed.wait(_FLUSH_SECONDS):
            self.flush()


def read_log(store: ObjectStore, log: LogName, container: str, tail: int | None) -> str:
    """The last `tail` lines (all within 16 MB when None), oldest first."""
    chunks: deque[bytes] = deque()
    lines = size = 0
    for key in reversed(list(store.list(f"logs/{log}/{container}/"))):
        try:
            chunk = b"".join(store.get(key))
        except ObjectMissing:
            continue  # its retention ended while we read
        chunks.appendleft(chunk)
        lines += chunk.count(b"\n")
        size += len(chunk)
        if (tail is not None and lines > tail) or size > _LONGEST_TAIL_BYTES:
            break
    text = b"".join(chunks).decode(errors="replace")
    return text if tail is None else "".join(text.splitlines(keepends=True)[-tail:] if tail else [])
