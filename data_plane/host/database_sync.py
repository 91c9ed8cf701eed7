"""Synchronises the host with the database, in a thread: workers are managed while the database is away, too.

The thread holds the host's lease, reads the wanted state whenever it changes, and writes the host's reports. The
database notifies the thread of changes. The record of changes is asked every second beside: a lost notification costs
a second, and no change is lost.
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from data_plane.host.reports import Report
from data_plane.host.repository import (
    CHANGES,
    apply_report,
    has_news,
    read_wanted,
    remove_other_workers,
    write_workers,
)
from data_plane.host.role import HostRole
from data_plane.host.wanted import Wanted
from data_plane.host.worker_statuses import WorkerStatus
from modelyard.core.db.leases import LeaseLost, lock_if_held
from modelyard.core.db.notifications import NotificationListener
from modelyard.core.db.unit_of_work import is_connection_lost, lease_settings, sessions_of, transaction
from modelyard.core.domain.storable_text import storable_text

_log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_AWAY_SECONDS = 0.5
_CLOSE_SECONDS = 1.0


class DatabaseSync:
    def __init__(self, engine: Engine, role: HostRole, changed: Callable[[], None]) -> None:
        self._sessions = sessions_of(engine)
        self._heartbeat_seconds = lease_settings(engine).heartbeat_seconds
        self._snapshots = sessions_of(engine.execution_options(isolation_level="REPEATABLE READ"))
        self._role = role
        self._changed = changed
        self._wanted: Wanted | None = None
        self._reports: tuple[Report, ...] = ()
        self._statuses: frozenset[WorkerStatus] | None = None
        self._written: frozenset[WorkerStatus] | None = None
        self._is_whole = False
        """Whether `_wanted` lacks no change but those on the database's record."""
        self._renewed_at = float("-inf")
        self._is_away = False
        self._is_standing_by = False
        self._refused: set[Report | WorkerStatus] = set()
        """Reports and statuses that the database refused: logged once each."""
        self.has_failed = threading.Event()
        """Set when the lease is lost or the thread broke: the host must take no further decision."""
        self._listener = NotificationListener(engine, CHANGES)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="database-sync", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def wanted(self) -> Wanted | None:
        """The wanted state as last read; None before this host holds the lease."""
        return self._wanted

    def submit(self, reports: tuple[Report, ...], statuses: frozenset[WorkerStatus]) -> None:
        """Replace the reports and statuses that are due to the database."""
        self._statuses = statuses
        self._reports = reports
        if reports:
            self._listener.wake()

    def close(self) -> None:
        """Give up the lease, so that the next host need not wait. Without a database the lease expires."""
        self._stopped.set()
        self._listener.wake()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not (self._stopped.is_set() or self.has_failed.is_set()):
            try:
                self._sync()
            except LeaseLost:
                _log.error("the host's lease has passed to another host")
                self.has_failed.set()
                self._changed()
            except DBAPIError as error:
                self._note_trouble(error)
            except Exception:
                # Without this thread the host would act on an old wanted state for ever; another host can take over.
                self.has_failed.set()
                self._changed()
                raise
            else:
                self._listener.wait(_POLL_SECONDS)
        self._listener.close()
        self._give_up_lease()

    def _sync(self) -> None:
        if not self._has_lease():
            self._stand_by()
            return
        reports, statuses = self._reports, self._statuses
        self._refused &= {*reports, *(statuses or ())}
        for report in reports:
            self._write(report, partial(apply_report, report=report))
        self._write_statuses(statuses)
        self._read()
        if self._is_away:
            self._is_away = False
            _log.info("the database answers again")

    def _stand_by(self) -> None:
        if not self._is_standing_by:
            self._is_standing_by = True
            _log.info("another host holds the lease; waiting for that host to end")

    def _has_lease(self) -> bool:
        if time.monotonic() - self._renewed_at < self._heartbeat_seconds:
            return True
        is_new = self._role.claim is None
        with transaction(self._sessions) as work:
            held = self._role.take_lease(work.session) if is_new else self._role.renew(work.session)
        if held:
            self._renewed_at = time.monotonic()
        elif not is_new:
            raise LeaseLost
        return held

    def _write(self, fact: Report | WorkerStatus, write: Callable[[Session], None]) -> None:
        try:
            with transaction(self._sessions) as work:
                self._check_lease(work.session)
                write(work.session)
        except LeaseLost:
            raise
        except Exception as error:
            if is_connection_lost(error):
                raise
            # The fact stays due; the other reports and statuses must not wait for it.
            if fact not in self._refused:
                _log.exception("the database refused %s", storable_text(repr(fact)))
            self._refused.add(fact)

    def _check_lease(self, session: Session) -> None:
        if self._role.claim is None or not lock_if_held(session, self._role.claim):
            raise LeaseLost

    def _write_statuses(self, statuses: frozenset[WorkerStatus] | None) -> None:
        if statuses is None or statuses == self._written:
            return
        try:
            with transaction(self._sessions) as work:
                remove_other_workers(work.session, statuses)
                write_workers(work.session, statuses)
        except Exception as error:
            if is_connection_lost(error):
                raise
            self._write_singly(statuses)
        self._written = statuses

    def _write_singly(self, statuses: frozenset[WorkerStatus]) -> None:
        """Write all statuses but the refused."""
        with transaction(self._sessions) as work:
            remove_other_workers(work.session, statuses)
        for status in statuses:
            self._write(status, partial(write_workers, statuses={status}))

    def _read(self) -> None:
        # First, so that a change after the read ends the wait.
        self._listener.listen()
        last = self._wanted if self._is_whole else None
        if last is not None:
            with transaction(self._sessions) as work:
                if not has_news(work.session, last):
                    return
        # Until the commit is known: the changes may be off the record, and not here.
        self._is_whole = False
        with transaction(self._snapshots) as work:
            self._check_lease(work.session)
            wanted = read_wanted(work.session, last)
        self._is_whole = True
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed()

    def _note_trouble(self, error: DBAPIError) -> None:
        # A connection that the server has forgotten would never be readable.
        self._listener.close()
        if not self._is_away:
            self._is_away = True
            trouble = "does not answer" if is_connection_lost(error) else "refuses to read or to renew the lease"
            _log.warning("the database %s: the host continues with the last wanted state. %s", trouble, error.orig)
        self._stopped.wait(_AWAY_SECONDS)

    def _give_up_lease(self) -> None:
        if self.has_failed.is_set() or self._role.claim is None:
            return
        try:
            with transaction(self._sessions) as work:
                remove_other_workers(work.session, frozenset())
                self._role.give_up(work.session)
        except DBAPIError:
            _log.warning("the database does not answer: the lease will expire")
