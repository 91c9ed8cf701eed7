"""Deployment logs: chunks in the object store, which hosts and builders write and getLogs reads.

The key of a chunk is `logs/<log>/<container>/<nanoseconds>-<source>`: chunks of all sources sort by time, and getLogs
needs only the store, on any machine. The id of the deployment is the name of the log. A source `<name>.<number>`
numbers its chunks: of several chunks with one number the newest counts.
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

    A thread ships; a writer of lines never waits for the store. While the store is away, or slower than the lines come,
    the last 4 MB are kept: an unavailable store fails no build.
    """

    def __init__(self, store: ObjectStore, log: LogName, container: str, source: str) -> None:
        self._ship = partial(ship, store, log, container, source)
        self._lock = threading.Lock()
        """Guards the lines, and is never held during a call of the store."""
        self._shipping = threading.Lock()
        """Keeps the chunks in order."""
        self._pending: deque[bytes] = deque()
        self._size = 0
        self._left_out = 0
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._flush_each_second, name="log-writer", daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Append a line with the present time."""
        self.raw(f"{utc_stamp()} I {text.rstrip()}\n".encode(errors="replace"))

    def raw(self, content: bytes) -> None:
        """Append lines that begin with a time."""
        with self._lock:
            self._pending.append(content[-_MOST_KEPT_BYTES:])
            self._size += len(self._pending[-1])
            self._left_out += len(content) - len(self._pending[-1])
            self._drop_excess()
            is_full = self._size >= _FLUSH_BYTES
        if is_full:
            self._wake.set()

    def _drop_excess(self) -> None:
        while self._size > _MOST_KEPT_BYTES:
            dropped = self._pending.popleft()
            self._size -= len(dropped)
            self._left_out += len(dropped)

    def flush(self) -> None:
        """Ship the collected lines; on failure they wait for the next flush."""
        with self._shipping:
            with self._lock:
                lines, left_out = list(self._pending), self._left_out
                self._pending.clear()
                self._size = self._left_out = 0
            if not lines:
                return
            note = [f"{utc_stamp()} I {left_out} bytes left out\n".encode()] if left_out else []
            try:
                self._ship([*note, *lines])
            except (StoreUnavailable, StoreRefused, OSError) as error:
                _log.warning("log lines wait for the object store: %s", error)
                with self._lock:
                    self._pending.extendleft(reversed(lines))
                    self._size += sum(map(len, lines))
                    self._left_out += left_out
                    self._drop_excess()

    def close(self) -> None:
        self._closed.set()
        self._wake.set()
        self._thread.join()
        self.flush()

    def _flush_each_second(self) -> None:
        while not self._closed.is_set():
            self._wake.wait(_FLUSH_SECONDS)
            self._wake.clear()
            if not self._closed.is_set():
                self.flush()


def read_log(store: ObjectStore, log: LogName, container: str, tail: int | None) -> str:
    """The last `tail` lines, or for None all lines within 16 MB. The oldest line comes first."""
    chunks: deque[bytes] = deque()
    lines = size = 0
    numbered: set[str] = set()
    for key in reversed(list(store.list(f"logs/{log}/{container}/"))):
        source = key.rpartition("/")[2].partition("-")[2]
        if source in numbered:
            continue  # shipped again by a host whose predecessor was killed
        if "." in source:
            numbered.add(source)
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
