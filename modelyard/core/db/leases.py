"""Claim, renew, finish: long work by exactly one process, written once for every kind of row.

Delivery is at least once, and any process can die. A process claims the row, renews the lease during the work, and
the result counts only if the process still holds the lease. All times are the database's.
"""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Table, bindparam, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from modelyard.core.db.rows import EnvironmentBuildRow, GenerationRow, JobRow, MiniBatchRow, NamedLeaseRow
from modelyard.core.db.unit_of_work import Sessions, lease_settings

LeasedRow = type[GenerationRow] | type[EnvironmentBuildRow] | type[NamedLeaseRow] | type[JobRow] | type[MiniBatchRow]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to finish the work of one row, for as long as the lease is renewed."""

    row: LeasedRow
    key: Any
    token: UUID
    attempt: int


def claim(session: Session, row: LeasedRow, key: Any, *, states: Collection[str] | None = None) -> Claim | None:
    """Claim a row in one of `states`. None: another process holds the lease, or the row is in another state."""
    claims = claim_all(session, row, [key], states=states)
    return claims[0] if claims else None


def claim_all(
    session: Session, row: LeasedRow, keys: Collection[Any], *, states: Collection[str] | None = None, **values: Any
) -> list[Claim]:
    """Claim the free rows among `keys` under one token, and write `values` to them. The claims are in `keys`' order."""
    token = uuid4()
    conditions = [_key(row).in_(keys), _free(row)]
    if states is not None:
        conditions.append(_state(row).in_(states))
    claimed = session.execute(
        update(row)
        .where(*conditions)
        .values(lease_token=token, lease_until=_lease_end(session), attempt=row.attempt + 1, **values)
        .returning(_key(row), row.attempt)
    )
    attempts = {key: attempt for key, attempt in claimed}  # noqa: C416 - a dict of rows has no types
    return [Claim(row, key, token, attempts[key]) for key in keys if key in attempts]


def renew(session: Session, held: Claim) -> bool:
    """Extend the lease. False: another process holds the lease now."""
    return renew_all(session, [held])


def renew_all(session: Session, held: Sequence[Claim]) -> bool:
    """Extend the leases of a `claim_all`. False: another process holds at least one of them now."""
    row, token = held[0].row, held[0].token
    renewed = session.execute(
        update(row)
        .where(_key(row).in_([claim.key for claim in held]), row.lease_token == token)
        .values(lease_until=_lease_end(session))
        .returning(_key(row))
    )
    return len(renewed.all()) == len(held)


def finish(session: Session, held: Claim, **result: Any) -> bool:
    """Write the result and release the lease. False: another process holds the lease, and the row is unchanged."""
    return _update_if_held(session, held, lease_token=None, lease_until=None, **result)


def finish_all(session: Session, held: Sequence[Claim], results: Sequence[Mapping[str, Any]], **common: Any) -> bool:
    """Write the result of each row of a `claim_all`, with `common` values, and release the leases.

    False: another process holds the lease of one of the rows, and all rows are unchanged.
    """
    row, key = held[0].row, _key(held[0].row)
    locked = select(key).where(key.in_([claim.key for claim in held]), row.lease_token == held[0].token)
    if len(session.scalars(locked.with_for_update()).all()) != len(held):
        return False
    table = cast(Table, row.__table__)
    statement = table.update().where(key == bindparam("claimed_key"))
    session.connection().execute(
        statement.values(lease_token=None, lease_until=None, **common),
        [{"claimed_key": claim.key, **result} for claim, result in zip(held, results, strict=True)],
    )
    return True


def lock_if_held(session: Session, held: Claim) -> bool:
    """Lock the row for the rest of the transaction. False: another process holds the lease."""
    return _update_if_held(session, held, lease_token=held.token)


def _update_if_held(session: Session, held: Claim, **values: Any) -> bool:
    key = _key(held.row)
    written = session.scalar(
        update(held.row).where(key == held.key, held.row.lease_token == held.token).values(**values).returning(key)
    )
    return written is not None


def _key(row: LeasedRow) -> InstrumentedAttribute[Any]:
    (column,) = row.__table__.primary_key
    attribute: InstrumentedAttribute[Any] = getattr(row, column.key)
    return attribute


def _state(row: LeasedRow) -> InstrumentedAttribute[str]:
    attribute: InstrumentedAttribute[str] = getattr(row, "state")  # noqa: B009 - named leases have no state
    return attribute


def _free(row: LeasedRow) -> ColumnElement[bool]:
    return or_(row.lease_until.is_(None), row.lease_until < func.clock_timestamp())


def _lease_end(session: Session) -> ColumnElement[datetime]:
    return func.clock_timestamp() + timedelta(seconds=lease_settings(session.connection()).seconds)


class LeaseLost(Exception):
    """Another process holds the lease: the result of the work so far does not count."""


class Heartbeat:
    """Renews a claim in a thread during the work."""

    def __init__(self, sessions: Sessions, held: Claim) -> None:
        self._sessions = sessions
        self._held = held
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)

    def check(self) -> None:
        """Raise LeaseLost once another process holds the lease. Call `check` between steps."""
        if self._lost.is_set():
            raise LeaseLost

    def _beat(self) -> None:
        seconds = lease_settings(self._sessions.kw["bind"]).heartbeat_seconds
        while not self._stop.wait(seconds):
            try:
                with self._sessions.begin() as session:
                    if not renew(session, self._held):
                        self._lost.set()
                        return
            except Exception:  # noqa: BLE001, S112 - Postgres may be away for a moment; the lease decides
                continue

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@contextmanager
def heartbeat(sessions: Sessions, held: Claim) -> Iterator[Heartbeat]:
    """Renew a claim for the length of the block."""
    beating = Heartbeat(sessions, held)
    beating.start()
    try:
        yield beating
    finally:
        beating.stop()
