"""Deployment logs: chunks in the object store, which hosts and builders write and getLogs reads.

The key of a chunk is `logs/<log>/<container>/<nanoseconds>-<source>`: chunks of all sources sort by time, and getLogs
needs only the store, on any machine. The id of the deployment is the name of the log.
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
    """The time as Azure's inference server prints it: `2022-12-24 07:37:55,976`."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d}"


LogName = int | str
"""Id of an online deployment, or `batch_log` of a batch deployment."""


def batch_log(deployment_id: int) -> str:
    return f"batch-{deployment_id}"


def ship(store: ObjectStore, log: LogName, container: str, source: str, content: list[bytes]) -> None:
    """Append one chunk to a deployment's log."""
    store.put(f"logs/{log}/{container}/{time.time_ns():020d}-{source}", content)


class LogWriter:
    """Collects log lines and ships a chunk every second, after 64 KB and on close.

    While the store is away the writer keeps the last 4 MB: an unavailable store fails no build.
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
        """Append a line with the present time."""
        self.raw(f"{utc_stamp()} I {text.rstrip()}\n".encode(errors="replace"))

    def raw(self, content: bytes) -> None:
        """Append lines that begin with a time."""
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
    """The last `tail` lines, or for None all lines within 16 MB. The oldest line comes first."""
    chunks: deque[bytes] = deque()
    lines = size = 0
    for key in reversed(list(store.list(f"logs/{log}/{container}/"))):
        try:
            chunk = b"".join(store.get(key))
        except ObjectMissing:
            continue  # expired since the listing
        chunks.appendleft(chunk)
        lines += chunk.count(b"\n")
        size += len(chunk)
        if (tail is not None and lines > tail) or size > _LONGEST_TAIL_BYTES:
            break
    text = b"".join(chunks).decode(errors="replace")
    return text if tail is None else "".join(text.splitlines(keepends=True)[-tail:] if tail else [])
