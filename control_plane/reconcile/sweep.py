"""Every few seconds: what was lost is sent again; every hour: what is old is removed.

A thread of the control plane. Several control planes may sweep at once: all they do can be done twice.
"""

import logging
import threading
import time

from control_plane.reconcile.expire import expire_jobs, expire_logs, expire_operations, expire_uploads
from control_plane.reconcile.resend import Resender
from control_plane.workflows.dispatcher import Dispatcher
from modelyard.core.db.unit_of_work import Sessions
from modelyard.core.ports.object_store import ObjectStore

_log = logging.getLogger(__name__)

_SECONDS = 5.0
_TIDY_SECONDS = 3600.0


class Sweep:
    def __init__(self, sessions: Sessions, store: ObjectStore, dispatcher: Dispatcher) -> None:
        self._sessions = sessions
        self._store = store
        self._resender = Resender(sessions, dispatcher)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)
        self._tidied_at = float("-inf")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_SECONDS):
            try:
                self.sweep()
            except Exception as error:  # noqa: BLE001 - the database may be away for a while; the next sweep makes up
                _log.warning("this sweep did not succeed: %s", error)

    def sweep(self) -> None:
        self._resender.resend()
        if time.monotonic() - self._tidied_at >= _TIDY_SECONDS:
            expire_uploads(self._sessions, self._store)
            expire_operations(self._sessions)
            expire_logs(self._sessions, self._store)
            expire_jobs(self._sessions, self._store)
            self._tidied_at = time.monotonic()
