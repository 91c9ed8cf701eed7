"""Engines of SQLAlchemy for Postgres: every wait for the server ends, and a password is proved, never sent."""

import time
from collections.abc import Generator
from typing import Any

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen
from sqlalchemy import Engine, event
from sqlalchemy import create_engine as sqlalchemy_create_engine
from sqlalchemy.engine import make_url

# The server ends a statement first: its answer then says why.
_MARGIN_SECONDS = 1.0


def create_engine(
    url: str, *, connect_seconds: int = 3, statement_seconds: float | None = None, **options: Any
) -> Engine:
    """Return an engine that waits for the server no longer than given. None: a statement may take any time.

    A server that asks for the password in another way than by SCRAM gets no password, unless the URL has
    `require_auth`. A statement that the server does not answer raises OperationalError and closes the connection.
    """
    made = make_url(url)
    arguments: dict[str, Any] = {"connect_timeout": connect_seconds}
    if "require_auth" not in made.query:
        arguments["require_auth"] = "scram-sha-256"
    if statement_seconds is not None:
        given = made.query.get("options", "")
        timeout = f"-c statement_timeout={round(statement_seconds * 1000)}"
        arguments["options"] = f"{given if isinstance(given, str) else ' '.join(given)} {timeout}".strip()
    engine = sqlalchemy_create_engine(url, connect_args=arguments, **options)
    limit = None if statement_seconds is None else statement_seconds + _MARGIN_SECONDS

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: list[Any], keywords: dict[str, Any]) -> Connection[Any]:
        connection = _BoundedConnection.connect(*arguments, **keywords)
        connection.answer_seconds = limit
        return connection

    return engine


class _BoundedConnection(Connection[Any]):
    """A connection that closes itself when the server does not answer."""

    answer_seconds: float | None = None

    def wait(self, gen: PQGen[Any], *arguments: Any, **keywords: Any) -> Any:
        if self.answer_seconds is None:
            return super().wait(gen, *arguments, **keywords)
        return super().wait(self._bounded(gen, self.answer_seconds), *arguments, **keywords)

    def _bounded(self, exchange: PQGen[Any], seconds: float) -> Generator[Any, Any, Any]:
        """Pass `exchange` on. Psycopg resumes the generator a few times a second, with 0 when there is no news."""
        deadline = time.monotonic() + seconds
        try:
            step = next(exchange)
            while True:
                news = yield step
                if not news and time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise OperationalError(f"the server has not answered for {seconds:g} s")
                step = exchange.send(news)
        except StopIteration as end:
            return end.value
