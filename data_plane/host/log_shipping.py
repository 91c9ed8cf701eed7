"""Ships the workers' output to the object store, where getLogs reads it.

A worker's process shim writes and rotates the log file; the shipper follows the file. In a round each worker has one
chunk of at most 1 MB, so that a noisy worker delays no other. Only the shipper's thread reads files and calls the
store: the host never waits for either, and an ended worker's last output follows in the next round.

The shipped position of each log is kept in a file: a restarted host continues there, with the output that workers wrote
while no host ran. Chunks have numbers. After a host was killed, the last chunk may be shipped twice, and getLogs reads
it once.
"""

import json
import logging
import re
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from modelyard.core.domain.documents import known_fields
from modelyard.core.logs import INFERENCE_SERVER, ship, utc_stamp
from modelyard.core.ports.object_store import ObjectStore, StoreRefused, StoreUnavailable
from modelyard.process.atomic_files import replace_file
from modelyard.process.rotated_log import LogPosition, RotatedLog

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
_CHUNK_BYTES = 1 << 20
_MAX_LINE_BYTES = 64 << 10
# Chunks of an ended worker in a round: the reason of the end is in the last one.
_LAST_CHUNKS = 16
_HAS_TIME = re.compile(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")


@dataclass(slots=True)
class Followed:
    deployment_id: int
    inode: int = 0
    offset: int = 0
    chunk: int = 0
    """Number of the next chunk."""


class LogShipper:
    def __init__(self, store: ObjectStore, folder: Path, positions: Path) -> None:
        self._store = store
        self._folder = folder
        self._positions = positions
        self._lock = threading.Lock()
        """Held for a moment only, never during a read or a call of the store."""
        self._followed = _read(positions)
        self._ended: set[str] = set()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-shipper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ship once more, within two seconds. The next host ships the rest."""
        self._stopped.set()
        self._wake.set()
        self._thread.join(_CLOSE_SECONDS)

    def follow(self, worker_id: str, deployment_id: int) -> None:
        with self._lock:
            self._followed.setdefault(worker_id, Followed(deployment_id))

    def finish(self, worker_id: str) -> None:
        """Have the rest of an ended worker's log shipped and the log removed, as soon as the store answers."""
        with self._lock:
            if worker_id in self._followed:
                self._ended.add(worker_id)
        self._wake.set()

    def finish_all_but(self, living: set[str]) -> None:
        """Finish the logs of all workers outside `living`."""
        for worker_id in self._followed.keys() - living:
            self.finish(worker_id)

    def ship_new(self) -> None:
        """Ship the new output of every worker once."""
        with self._lock:
            followed, ended = dict(self._followed), set(self._ended)
        before = {worker_id: asdict(entry) for worker_id, entry in followed.items()}
        finished = {worker_id for worker_id, entry in followed.items() if self._ship(worker_id, entry, ended)}
        with self._lock:
            for worker_id in finished:
                del self._followed[worker_id]
                self._ended.discard(worker_id)
            document = {worker_id: asdict(entry) for worker_id, entry in self._followed.items()}
        if document != before:
            replace_file(self._positions, json.dumps(document))

    def _run(self) -> None:
        is_last_round = False
        while not is_last_round:
            self._wake.wait(_INTERVAL_SECONDS)
            self._wake.clear()
            is_last_round = self._stopped.is_set()
            try:
                self.ship_new()
            except Exception:  # noqa: BLE001 - without the thread no log would be shipped any more
                _log.exception("a round of log shipping failed")

    def _ship(self, worker_id: str, followed: Followed, ended: set[str]) -> bool:
        """Return whether the log of an ended worker is shipped to the end, and removed."""
        position = LogPosition(followed.inode, followed.offset)
        log = RotatedLog(self._folder / f"{worker_id}.log", position)
        has_ended = worker_id in ended
        try:
            for _ in range(_LAST_CHUNKS if has_ended else 1):
                content, is_last_of_file = log.peek(_CHUNK_BYTES)
                to_the_end = is_last_of_file or (has_ended and len(content) < _CHUNK_BYTES)
                content = whole_lines(content, to_the_end=to_the_end)
                if not content:
                    break
                source = f"{worker_id}.{followed.chunk}"
                ship(self._store, followed.deployment_id, INFERENCE_SERVER, source, [stamped(content, utc_stamp())])
                log.advance(len(content))
                followed.inode, followed.offset = position.inode, position.offset
                followed.chunk += 1
            else:
                return False
            if has_ended:
                log.remove()
        except (StoreUnavailable, StoreRefused) as error:
            _log.warning("the log of worker %s waits for the object store: %s", worker_id, error)
            return False
        except OSError:
            _log.exception("the log of worker %s cannot be shipped", worker_id)
            return False
        return has_ended


def _read(positions: Path) -> dict[str, Followed]:
    try:
        document = json.loads(positions.read_text())
    except FileNotFoundError:
        return {}
    return {worker_id: Followed(**known_fields(Followed, entry)) for worker_id, entry in document.items()}


def whole_lines(content: bytes, *, to_the_end: bool) -> bytes:
    """Return the content up to the last line end; all content at the end of a log, or of a very long line."""
    if to_the_end:
        return content
    end = content.rfind(b"\n") + 1
    return content if end == 0 and len(content) >= _MAX_LINE_BYTES else content[:end]


def stamped(content: bytes, stamp: str) -> bytes:
    """Put `stamp` before lines without a time: the output of native code, tracebacks and child processes."""
    lines = content.split(b"\n")
    rest = lines.pop()
    if rest:
        lines.append(rest)
    prefix = f"{stamp} I ".encode()
    return b"".join(line + b"\n" if _HAS_TIME.match(line) else prefix + line + b"\n" for line in lines)
