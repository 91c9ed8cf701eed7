"""The only commit. One request, or one task, is one transaction; messages leave after the commit.

A crash between commit and send loses the message: the sweep over unfinished rows sends the message again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from modelyard.core.db.audit import chain_events
from modelyard.core.db.engine import create_engine
from modelyard.core.settings import DatabaseSettings, LeaseSettings

Sessions = sessionmaker[Session]

_LEASE = "modelyard_lease"
_DEFAULT_LEASE = LeaseSettings()
_DEFAULT_WAITS = DatabaseSettings()


class UnitOfWork:
    def __init__(self, session: Session) -> None:
        self.session = session
        self._after_commit: list[Callable[[], None]] = []

    def after_commit(self, send: Callable[[], None]) -> None:
        """Call `send` once the transaction is committed, and only then."""
        self._after_commit.append(send)

    def send_messages(self) -> None:
        for send in self._after_commit:
            send()


@contextmanager
def transaction(sessions: Sessions) -> Iterator[UnitOfWork]:
    # SQLAlchemy's after_commit event would also fire at the release of a savepoint.
    with sessions.begin() as session:
        work = UnitOfWork(session)
        yield work
    work.send_messages()


def is_connection_lost(error: BaseException) -> bool:
    """Whether the database is away, so that a repetition may succeed. A refused value is refused again."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def open_database(
    url: str,
    *,
    pool_size: int = 5,
    lease: LeaseSettings = _DEFAULT_LEASE,
    waits: DatabaseSettings = _DEFAULT_WAITS,
    pool_seconds: float = 30.0,
) -> Engine:
    """Return an engine that tests connections before use, so that a restart of Postgres fails no request.

    Work that is claimed through the engine has leases of these settings. A wait for a free connection of the pool
    takes at most `pool_seconds`.
    """
    return create_engine(
        url,
        connect_seconds=waits.connect_seconds,
        statement_seconds=waits.statement_seconds,
        pool_pre_ping=True,
        pool_size=pool_size,
        pool_timeout=pool_seconds,
        execution_options={_LEASE: lease},
    )


def lease_settings(bind: Engine | Connection) -> LeaseSettings:
    settings: LeaseSettings = bind.get_execution_options().get(_LEASE, _DEFAULT_LEASE)
    return settings


def sessions_of(engine: Engine) -> Sessions:
    sessions = sessionmaker(engine, expire_on_commit=False)
    chain_events(sessions)
    return sessions
