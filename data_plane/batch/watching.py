"""Keeps a mini-batch's lease alive, and notices within a second or two that its result is wanted no more.

The job was canceled, or has failed already, or the lease has passed to another worker. Between two calls of the model
that is seen at once; a busy worker is ended after a short grace, because a model cannot be interrupted.
One thread does so for all mini-batches that a worker scores of a job, one after the other.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from data_plane.batch import repository
from data_plane.batch.model_workers import Worker
from data_plane.replicas.local.worker_process import kill
from modelyard.core.db.leases import Claim, renew
from modelyard.core.db.unit_of_work import Sessions, lease_settings
from modelyard.core.domain.lifecycle import JobState

_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 0.5


class Stopped(Exception):
    """Nobody wants the result any more."""


class Watch:
    """Over one mini-batch."""

    def __init__(self, held: Claim) -> None:
        self.held = held
        self.renewed_at = time.monotonic()
        self._stopped_at: float | None = None
        self._lock = threading.Lock()
        self._minded: Worker | None = None

    def check(self) -> None:
        """Raises Stopped."""
        if self._stopped_at is not None:
            raise Stopped

    @contextmanager
    def minding(self, worker: Worker) -> Iterator[None]:
        """Around a call that may take long. Raises Stopped instead of whatever the worker's end makes of the call."""
        self.check()
        with self._lock:
            self._minded = worker
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._minded = None

    @property
    def is_stopped(self) -> bool:
        return self._stopped_at is not None

    def stop(self) -> None:
        self._stopped_at = time.monotonic()

    def end_the_minded(self) -> None:
        with self._lock:
            is_due = self._stopped_at is not None and time.monotonic() - self._stopped_at >= _GRACE_SECONDS
            if is_due and self._minded is not None:
                kill(self._minded.process, "the job was canceled, or its mini-batch passed to another worker")


class Watcher:
    """A job's: over one mini-batch at a time."""

    def __init__(self, sessions: Sessions, job_id: int) -> None:
        self._sessions = sessions
        self._job_id = job_id
        self._watch: Watch | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-watch", daemon=True)
        self._thread.start()

    @contextmanager
    def over(self, held: Claim) -> Iterator[Watch]:
        watch = self._watch = Watch(held)
        try:
            yield watch
        finally:
            self._watch = None

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            watch = self._watch
            if watch is None:
                continue
            if not watch.is_stopped and self._is_to_stop(watch):
                watch.stop()
            watch.end_the_minded()

    def _is_to_stop(self, watch: Watch) -> bool:
        try:
            with self._sessions.begin() as session:
                heartbeat_seconds = lease_settings(session.connection()).heartbeat_seconds
                is_due = time.monotonic() - watch.renewed_at >= heartbeat_seconds
                if is_due and not renew(session, watch.held):
                    return True
                is_over = repository.job_state(session, self._job_id) != JobState.RUNNING
        except SQLAlchemyError:
            # Without a database nobody can have asked for anything; whether the lease is ours, the result's row says.
            return False
        if is_due:
            watch.renewed_at = time.monotonic()
        return is_over


@contextmanager
def watching(sessions: Sessions, job_id: int) -> Iterator[Watcher]:
    watcher = Watcher(sessions, job_id)
    try:
        yield watcher
    finally:
        watcher.close()
