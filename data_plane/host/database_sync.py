"""The host's dealings with the database, in a thread of their own: workers are looked after while it does not answer.

It holds the host's lease, hands over what is wanted whenever that changes, and writes what the host has to report.
"""

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from data_plane.host.read_wanted import fingerprint, read_wanted
from data_plane.host.reports import (
    Applied,
    DeploymentGone,
    EndpointGone,
    GenerationFailed,
    GenerationReady,
    Report,
    Scaled,
    ScalingFailed,
)
from data_plane.host.role import HostRole
from data_plane.host.wanted import Wanted
from data_plane.host.worker_facts import WorkerFact
from data_plane.host.worker_rows import write_workers
from modelyard.core.db import lifecycle
from modelyard.core.db.leases import LeaseLost, lock_if_held
from modelyard.core.db.unit_of_work import lease_settings, sessions_of, transaction
from modelyard.core.domain.caller import SYSTEM_HOST
from modelyard.core.errors import WorkerFailed

_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_READ_ANYWAY_SECONDS = 3.0
_AWAY_SECONDS = 0.5
_LAST_WORDS_SECONDS = 1.0


class Ledger:
    def __init__(self, engine: Engine, role: HostRole, changed: Callable[[], None]) -> None:
        self._sessions = sessions_of(engine)
        self._heartbeat_seconds = lease_settings(engine).heartbeat_seconds
        self._moments = sessions_of(engine.execution_options(isolation_level="REPEATABLE READ"))
        self._role = role
        self._changed = changed
        self._wanted: Wanted | None = None
        self._reports: tuple[Report, ...] = ()
        self._facts: frozenset[WorkerFact] | None = None
        self._written: frozenset[WorkerFact] | None = None
        self._fingerprint = ""
        self._read_at = self._renewed_at = float("-inf")
        self._is_away = False
        self._is_standing_by = False
        self._refused: Report | None = None
        self.has_failed = threading.Event()
        """The lease is lost, or its dealings have broken down: this host must not decide anything any more."""
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def wanted(self) -> Wanted | None:
        """As last read. None until the lease is ours."""
        return self._wanted

    def tell(self, reports: tuple[Report, ...], facts: frozenset[WorkerFact]) -> None:
        """What is to be written; it replaces what was told before."""
        self._facts = facts
        self._reports = reports
        if reports:
            self._wake.set()

    def close(self) -> None:
        """Give up the lease, so that the next host need not wait; without a database, the lease runs out by itself."""
        self._stopped.set()
        self._wake.set()
        self._thread.join(_LAST_WORDS_SECONDS)

    def _run(self) -> None:
        while not (self._stopped.is_set() or self.has_failed.is_set()):
            try:
                self._turn()
            except LeaseLost:
                _log.error("the host's lease has passed to another host")
                self.has_failed.set()
                self._changed()
            except DBAPIError as error:
                self._go_on_without(error)
            except Exception:
                # Without this thread the host would act on what was wanted once, for ever; another host may do better.
                self.has_failed.set()
                self._changed()
                raise
            else:
                self._wake.wait(_POLL_SECONDS)
                self._wake.clear()
        self._say_farewell()

    def _turn(self) -> None:
        if not self._has_lease():
            self._stand_by()
            return
        for report in self._reports:
            self._write(report)
        self._write_facts()
        self._read()
        if self._is_away:
            self._is_away = False
            _log.info("the database answers again")

    def _stand_by(self) -> None:
        if not self._is_standing_by:
            self._is_standing_by = True
            _log.info("another host holds the lease; waiting until it gives it up or is gone")

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

    def _write(self, report: Report) -> None:
        try:
            with transaction(self._sessions) as work:
                self._check_lease(work.session)
                _apply(work.session, report)
        except (DBAPIError, LeaseLost):
            raise
        except Exception:  # noqa: BLE001 - it is due again for as long as it is true; the others must not wait for it
            if report != self._refused:
                _log.exception("%s was not accepted", report)
            self._refused = report

    def _check_lease(self, session: Session) -> None:
        if self._role.claim is None or not lock_if_held(session, self._role.claim):
            raise LeaseLost

    def _write_facts(self) -> None:
        facts = self._facts
        if facts is None or facts == self._written:
            return
        with transaction(self._sessions) as work:
            write_workers(work.session, facts)
        self._written = facts

    def _read(self) -> None:
        with transaction(self._moments) as work:
            seen = fingerprint(work.session)
            is_old = time.monotonic() - self._read_at > _READ_ANYWAY_SECONDS
            if seen == self._fingerprint and not is_old:
                return
            wanted = read_wanted(work.session)
        self._fingerprint, self._read_at = seen, time.monotonic()
        if wanted != self._wanted:
            self._wanted = wanted
            self._changed()

    def _go_on_without(self, error: DBAPIError) -> None:
        if not self._is_away:
            self._is_away = True
            _log.warning("the database does not answer: going on with what was last wanted. %s", error.orig)
        self._stopped.wait(_AWAY_SECONDS)

    def _say_farewell(self) -> None:
        if self.has_failed.is_set() or self._role.claim is None:
            return
        try:
            with transaction(self._sessions) as work:
                write_workers(work.session, frozenset())
                self._role.give_up(work.session)
        except DBAPIError:
            _log.warning("the database does not answer: the lease runs out by itself")


def _apply(session: Session, report: Report) -> None:
    match report:
        case GenerationReady(generation_id):
            lifecycle.generation_ready(session, SYSTEM_HOST, generation_id)
        case GenerationFailed(generation_id, message):
            lifecycle.generation_failed(session, SYSTEM_HOST, generation_id, code=WorkerFailed.code, message=message)
        case Scaled(deployment_id, count):
            lifecycle.scaled(session, SYSTEM_HOST, deployment_id, instance_count=count)
        case ScalingFailed(deployment_id, count, message):
            code = WorkerFailed.code
            lifecycle.scaling_failed(
                session, SYSTEM_HOST, deployment_id, instance_count=count, code=code, message=message
            )
        case Applied(revision):
            lifecycle.record_applied(session, SYSTEM_HOST, revision)
        case DeploymentGone(deployment_id):
            lifecycle.deployment_deleted(session, SYSTEM_HOST, deployment_id)
        case EndpointGone(endpoint_id):
            lifecycle.endpoint_deleted(session, SYSTEM_HOST, endpoint_id)
