"""Ships the workers' output to the object store, where getLogs reads it, and keeps the log files small.

The shipped length of each log is kept in a file: a restarted host continues there, with the output that workers wrote
while no host ran. After a host was killed, the last second may be shipped twice; no output is left out.
"""

import json
import logging
import os
import re
import shutil
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from modelyard.core.domain.documents import known_fields
from modelyard.core.logs import INFERENCE_SERVER, ship, utc_stamp
from modelyard.core.ports.object_store import ObjectStore, StoreRefused, StoreUnavailable
from modelyard.core.settings import WorkerSettings
from modelyard.process.atomic_files import replace_file

_log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 1.0
_LARGEST_CHUNK = 1 << 20
_LONGEST_LINE = 64 << 10
_HAS_TIME = re.compile(rb"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")


@dataclass(slots=True)
class Followed:
    deployment_id: int
    offset: int = 0


class LogShipper:
    def __init__(self, store: ObjectStore, folder: Path, offsets: Path, settings: WorkerSettings) -> None:
        self._store = store
        self._folder = folder
        self._offsets = offsets
        self._settings = settings
        self._lock = threading.Lock()
        self._followed = _read(offsets)
        self._ended: set[str] = set()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-shipper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()

    def follow(self, worker_id: str, deployment_id: int) -> None:
        with self._lock:
            self._followed.setdefault(worker_id, Followed(deployment_id))

    def finish(self, worker_id: str) -> None:
        """Ship the rest of an ended worker's log and remove the log, now or as soon as the store answers."""
        with self._lock:
            if worker_id in self._followed:
                self._ended.add(worker_id)
                self._finish(worker_id)

    def finish_all_but(self, living: set[str]) -> None:
        """Finish the logs of all workers outside `living`."""
        for worker_id in self._followed.keys() - living:
            self.finish(worker_id)

    def ship_new(self) -> None:
        """Ship the new output of every worker once."""
        with self._lock:
            for worker_id in list(self._ended):
                self._finish(worker_id)
            before = {worker_id: followed.offset for worker_id, followed in self._followed.items()}
            for worker_id, followed in self._followed.items():
                if self._ship_all(worker_id, followed):
                    self._rotate(worker_id, followed)
            if before != {worker_id: followed.offset for worker_id, followed in self._followed.items()}:
                self._write()

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL_SECONDS):
            self.ship_new()

    def _finish(self, worker_id: str) -> None:
        if self._ship_all(worker_id, self._followed[worker_id], to_the_end=True):
            self._ended.remove(worker_id)
            del self._followed[worker_id]
            self._remove(worker_id)
            self._write()

    def _ship_all(self, worker_id: str, followed: Followed, *, to_the_end: bool = False) -> bool:
        """Return False if output is left for the next round, because the store did not take it."""
        try:
            with self._path(worker_id).open("rb") as file:
                if os.fstat(file.fileno()).st_size < followed.offset:
                    followed.offset = 0  # the file was truncated
                file.seek(followed.offset)
                while content := _next(file, to_the_end):
                    lines = [stamped(content, utc_stamp())]
                    ship(self._store, followed.deployment_id, INFERENCE_SERVER, worker_id, lines)
                    followed.offset += len(content)
                    file.seek(followed.offset)
        except FileNotFoundError:
            return not self._path(worker_id).exists()
        except (StoreUnavailable, StoreRefused) as error:
            _log.warning("the log of worker %s waits for the object store: %s", worker_id, error)
            return False
        except OSError:
            _log.exception("the log of worker %s cannot be shipped", worker_id)
            return False
        return True

    def _rotate(self, worker_id: str, followed: Followed) -> None:
        path = self._path(worker_id)
        if not path.exists() or path.stat().st_size <= self._settings.log_bytes:
            return
        for number in range(self._settings.log_files - 1, 1, -1):
            older = self._rotated(worker_id, number - 1)
            if older.exists():
                older.replace(self._rotated(worker_id, number))
        shutil.copyfile(path, self._rotated(worker_id, 1))
        # The worker keeps writing to this file: output written during the copy is shipped before the file is emptied.
        self._ship_all(worker_id, followed, to_the_end=True)
        os.truncate(path, 0)
        followed.offset = 0

    def _remove(self, worker_id: str) -> None:
        numbered = (self._rotated(worker_id, number) for number in range(1, self._settings.log_files))
        for path in (self._path(worker_id), *numbered):
            path.unlink(missing_ok=True)

    def _path(self, worker_id: str) -> Path:
        return self._folder / f"{worker_id}.log"

    def _rotated(self, worker_id: str, number: int) -> Path:
        return self._folder / f"{worker_id}.log.{number}"

    def _write(self) -> None:
        document = {worker_id: asdict(followed) for worker_id, followed in self._followed.items()}
        replace_file(self._offsets, json.dumps(document))


def _next(file: BinaryIO, to_the_end: bool) -> bytes:
    content = file.read(_LARGEST_CHUNK)
    return whole_lines(content, to_the_end=to_the_end and len(content) < _LARGEST_CHUNK)


def _read(offsets: Path) -> dict[str, Followed]:
    try:
        document = json.loads(offsets.read_text())
    except FileNotFoundError:
        return {}
    return {worker_id: Followed(**known_fields(Followed, entry)) for worker_id, entry in document.items()}


def whole_lines(content: bytes, *, to_the_end: bool) -> bytes:
    """Return the content up to the last line end; all content at the end of a log, or of a very long line."""
    if to_the_end:
        return content
    end = content.rfind(b"\n") + 1
    return content if end == 0 and len(content) >= _LONGEST_LINE else content[:end]


def stamped(content: bytes, stamp: str) -> bytes:
    """Put `stamp` before lines without a time: the output of native code, tracebacks and child processes."""
    lines = content.split(b"\n")
    rest = lines.pop()
    if rest:
        lines.append(rest)
    prefix = f"{stamp} I ".encode()
    return b"".join(line + b"\n" if _HAS_TIME.match(line) else prefix + line + b"\n" for line in lines)
