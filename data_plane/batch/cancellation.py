"""Keeps the leases of a claim of mini-batches alive, and notices a cancellation within a second or two.

A claim is canceled when the job was canceled or has failed, or the lease has passed to another worker. The scorer
checks between calls to the model; a busy model worker is killed after a short grace, because a model cannot be
interrupted. A single thread watches the claims of a job in turn.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from data_plane.batch import repository
from data_plane.replicas.port import ExclusiveReplica
from modelyard.core.db.leases import Claim, renew_all
from modelyard.core.db.unit_of_work import Sessions, lease_settings
from modelyard.core.domain.lifecycle import JobState

_CHECK_SECONDS = 0.5
_GRACE_SECONDS = 0.5


class Canceled(Exception):
    """The result of the current mini-batches is no longer wanted."""


class CancellationWatch:
    """The watch over the mini-batches of a claim."""

    def __init__(self, claims: Sequence[Claim]) -> None:
        self.claims = claims
        self.renewed_at = time.monotonic()
        self._canceled_at: float | None = None
        self._lock = threading.Lock()
        self._interruptible: ExclusiveReplica | None = None

    def check(self) -> None:
        """Raises Canceled."""
        if self._canceled_at is not None:
            raise Canceled

    @contextmanager
    def interruptible(self, replica: ExclusiveReplica) -> Iterator[None]:
        """Kill `replica` if a cancellation comes during the block. Raises Canceled in place of the call's error."""
        self.check()
        with self._lock:
            self._interruptible = replica
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._interruptible = None

    @property
    def is_canceled(self) -> bool:
        return self._canceled_at is not None

    def cancel(self) -> None:
        self._canceled_at = time.monotonic()

    def interrupt_if_due(self) -> None:
        with self._lock:
            is_due = self._canceled_at is not None and time.monotonic() - self._canceled_at >= _GRACE_SECONDS
            if is_due and self._interruptible is not None:
                self._interruptible.kill("the job was canceled, or its mini-batch passed to another worker")


class JobWatcher:
    """Watches the current claim of a job."""

    def __init__(self, sessions: Sessions, job_id: int) -> None:
        self._sessions = sessions
        self._job_id = job_id
        self._watch: CancellationWatch | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job-watcher", daemon=True)
        self._thread.start()

    @contextmanager
    def over(self, claims: Sequence[Claim]) -> Iterator[CancellationWatch]:
        watch = self._watch = CancellationWatch(claims)
        try:
            yield watch
        finally:
            self._watch = None

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closed.wait(_CHECK_SECONDS):
            watch = self._watch
            if watch is None:
                continue
            if not watch.is_canceled and self._is_over(watch):
                watch.cancel()
            watch.interrupt_if_due()

    def _is_over(self, watch: CancellationWatch) -> bool:
        try:
            with self._sessions.begin() as session:
                heartbeat_seconds = lease_settings(session.connection()).heartbeat_seconds
                is_due = time.monotonic() - watch.renewed_at >= heartbeat_seconds
                if is_due and not renew_all(session, watch.claims):
                    return True
                is_over = repository.job_state(session, self._job_id) != JobState.RUNNING
        except SQLAlchemyError:
            # Without a database no user can have canceled; a lost lease shows when the result is recorded.
            return False
        if is_due:
            watch.renewed_at = time.monotonic()
        return is_over


@contextmanager
def watching(sessions: Sessions, job_id: int) -> Iterator[JobWatcher]:
    watcher = JobWatcher(sessions, job_id)
    try:
        yield watcher
    finally:
        watcher.close()
