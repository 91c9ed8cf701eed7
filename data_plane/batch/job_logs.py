"""A job's logs in the object store, where Azure's SDK looks for them: rewritten every few seconds during the job."""

import logging
import time
from collections.abc import Sequence

from data_plane.batch.failures import FileFailure
from data_plane.batch.repository import Progress
from modelyard.core.logs import utc_stamp
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore, StoreRefused, StoreUnavailable

_log = logging.getLogger(__name__)

_FLUSH_SECONDS = 5.0
_MAX_OUTPUT_BYTES = 4 << 20
_MAX_REASONS = 1000


class JobLogs:
    """The logs of one batch worker. A log that cannot be written does not delay the job."""

    def __init__(self, store: ObjectStore, folder: str, worker: str) -> None:
        """`folder` is a prefix of keys that ends in "/"."""
        self._store = store
        self._folder = folder
        self._output_key = f"{self._folder}user/stdout/{worker}.txt"
        self._output: bytes | None = None
        self._pending: list[bytes] = []
        self._flushed_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._flushed_at > _FLUSH_SECONDS

    def add_output(self, text: bytes) -> None:
        """Add output of the model, or a line of progress."""
        if text:
            self._pending.append(text)

    def flush(self) -> None:
        self._flushed_at = time.monotonic()
        if not self._pending:
            return
        before = self._earlier_output() if self._output is None else self._output
        self._output = b"".join([before, *self._pending])[-_MAX_OUTPUT_BYTES:]
        self._pending = []
        self._put(self._output_key, self._output)

    def overview(self, progress: Progress) -> None:
        self._put(f"{self._folder}job_progress_overview.txt", _overview(progress).encode())

    def errors(self, error: str | None, failures: Sequence[FileFailure]) -> None:
        lines = [error] if error else []
        lines += [_sentence(failure) for failure in failures[:_MAX_REASONS]]
        if len(failures) > _MAX_REASONS:
            lines.append(f"and {len(failures) - _MAX_REASONS} more, in errors.csv beside the predictions")
        if lines:
            self._put(f"{self._folder}user/error.txt", "".join(f"{line}\n" for line in lines).encode(errors="replace"))

    def _earlier_output(self) -> bytes:
        try:
            return b"".join(self._store.get(self._output_key))
        except (ObjectMissing, StoreUnavailable, StoreRefused, OSError):
            return b""

    def _put(self, key: str, content: bytes) -> None:
        try:
            self._store.put(key, [content])
        except (StoreUnavailable, StoreRefused, OSError) as error:
            _log.warning("log %s cannot be written: %s", key, error)


def _overview(progress: Progress) -> str:
    ended = progress.completed + progress.failed
    rate = progress.rows_scored / progress.seconds if progress.seconds else 0.0
    of_rows = "" if progress.rows is None else f" of {progress.rows}"
    lines = [
        f"{utc_stamp()}  job {progress.state}, {progress.seconds:.1f} s",
        f"mini-batches: {ended} of {progress.mini_batches} ended, {progress.failed} failed, {progress.running} running",
        f"rows: {progress.rows_scored}{of_rows} scored, {rate:.0f} per second",
    ]
    return "".join(f"{line}\n" for line in lines)


def _sentence(failure: FileFailure) -> str:
    rows = ""
    if failure.first_row is not None and failure.rows is not None:
        rows = f", rows {failure.first_row} to {failure.first_row + failure.rows - 1}"
    return f"{failure.file}{rows}: {failure.reason}"
