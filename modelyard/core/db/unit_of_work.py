"""The only commit. One request, or one task, is one transaction; messages leave after it.

A crash between commit and send loses the message: a sweep over unfinished rows sends it again.
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
        """Have something sent once, and only if, the transaction is committed."""
        self._after_commit.append(send)

    def sent(self) -> None:
        for send in self._after_commit:
            send()


@contextmanager
def transaction(sessions: Sessions) -> Iterator[UnitOfWork]:
    # Not SQLAlchemy's after_commit event: it also fires when a savepoint is released.
    with sessions.begin() as session:
        work = UnitOfWork(session)
        yield work
    work.sent()


def open_database(url: str, *, pool_size: int = 5) -> Engine:
    """An engine whose connections are tested before use, so that a restarted Postgres costs no failed request."""
    return create_engine(url, pool_pre_ping=True, pool_size=pool_size, connect_args={"connect_timeout": 5})


def sessions_of(engine: Engine) -> Sessions:
    return sessionmaker(engine, expire_on_commit=False)
