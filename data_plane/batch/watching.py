"""Notices within a second or two that a job is to stop, or that a mini-batch has passed to another worker.

What is being scored then counts for nothing. Between two calls of the model that is seen at once; a guest that is busy
is ended after a short grace, because nobody can interrupt a model otherwise.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from data_plane.batch import repository
from data_plane.batch.guests import Guest
from data_plane.guests.guest_process import kill
from modelyard.core.db.leases import Heartbeat, LeaseLost
from modelyard.core.db.unit_of_work import Sessions
from modelyard.core.domain.lifecycle import JobState

_LOOK_SECONDS = 0.5
_GRACE_SECONDS = 0.5


class Stopped(Exception):
    """Nobody wants the result any more."""


class Watch:
    """Over one mini-batch."""

    def __init__(self, sessions: Sessions, job_id: int, beating: Heartbeat) -> None:
        self._sessions = sessions
        self._job_id = job_id
        self._beating = beating
        self._stopped = threading.Event()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._minded: Guest | None = None

    def check(self) -> None:
        """Raises Stopped."""
        if self._stopped.is_set():
            raise Stopped

    @contextmanager
    def minding(self, guest: Guest) -> Iterator[None]:
        """Around a call that may take long. Raises Stopped instead of whatever the guest's end makes of the call."""
        self.check()
        with self._lock:
            self._minded = guest
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._minded = None

    def run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            if self._is_to_stop():
                self._stopped.set()
                self._end_the_minded()
                return

    def close(self) -> None:
        self._over.set()

    def _is_to_stop(self) -> bool:
        try:
            self._beating.check()
            with self._sessions() as session:
                return repository.job_state(session, self._job_id) != JobState.RUNNING
        except LeaseLost:
            return True
        except SQLAlchemyError:
            # Without a database nobody can have asked for anything.
            return False

    def _end_the_minded(self) -> None:
        until = time.monotonic() + _GRACE_SECONDS
        while not self._over.wait(0.05):
            with self._lock:
                if self._minded is not None and time.monotonic() >= until:
                    kill(self._minded.process, "the job was canceled, or its mini-batch passed to another worker")
                    return


@contextmanager
def watching(sessions: Sessions, job_id: int, beating: Heartbeat) -> Iterator[Watch]:
    watch = Watch(sessions, job_id, beating)
    thread = threading.Thread(target=watch.run, name="job-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.close()
        thread.join()
