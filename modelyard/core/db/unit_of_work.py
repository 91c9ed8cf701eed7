"""The only commit. One request, or one task, is one transaction; messages leave after the commit.

A crash between commit and send loses the message: the sweep over unfinished rows sends the message again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session, sessionmaker

Sessions = sessionmaker[Session]


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


def open_database(url: str, *, pool_size: int = 5) -> Engine:
    """Return an engine that tests connections before use, so that a restart of Postgres fails no request."""
    return create_engine(url, pool_pre_ping=True, pool_size=pool_size, connect_args={"connect_timeout": 5})


def sessions_of(engine: Engine) -> Sessions:
    return sessionmaker(engine, expire_on_commit=False)
