"""A migrated database that serves one test after another: its rows go back to those of a new database.

A new database for each test costs more: the database's creation and removal, new connections, and SQLAlchemy compiles
every statement anew.
"""

import time

from sqlalchemy import Connection, Engine, TextClause, text

from modelyard.core.db.rows import Base
from modelyard.core.db.unit_of_work import open_database
from modelyard.core.settings import DatabaseSettings

_INITIAL = "initial"
"""The schema with a copy of the rows that the migrations write."""
_CONNECTION_SECONDS = 60.0
_PATIENT = DatabaseSettings(connect_seconds=60, statement_seconds=60.0)


class RecycledDatabase:
    def __init__(self, url: str) -> None:
        """`url` names a database that the migrations have just made."""
        self.engine: Engine = open_database(url, waits=_PATIENT)
        with self.engine.begin() as connection:
            self._restore = _restoring(connection)

    def reset(self) -> None:
        """Restore the rows and sequences of a new database. A statement that still runs elsewhere is ended."""
        with self.engine.begin() as connection:
            connection.execute(_END_OTHERS)
            connection.execute(self._restore)

    def check_returned(self) -> None:
        """Raise AssertionError when the test has left a connection of the engine in use."""
        deadline = time.monotonic() + _CONNECTION_SECONDS
        while self._in_use() and time.monotonic() < deadline:
            time.sleep(0.005)
        if in_use := self._in_use():
            self.engine.dispose()
            raise AssertionError(f"the test did not return {in_use} of the engine's connections")

    def _in_use(self) -> int:
        in_use: int = self.engine.pool.checkedout()  # type: ignore[attr-defined]
        return in_use

    def close(self) -> None:
        self.engine.dispose()


_END_OTHERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
)


def _restoring(connection: Connection) -> TextClause:
    """Statements that restore the present rows and sequences. Copies the rows."""
    tables = [table.name for table in Base.metadata.sorted_tables]
    filled = [name for name in tables if connection.scalar(text(f"SELECT EXISTS (SELECT FROM {name})"))]
    connection.execute(text(f"CREATE SCHEMA {_INITIAL}"))
    for name in filled:
        connection.execute(text(f"CREATE TABLE {_INITIAL}.{name} AS TABLE {name}"))
    sequences = connection.execute(text("SELECT sequencename, start_value, last_value FROM pg_sequences"))
    # The triggers that note changes for the host would write rows of their own.
    statements = ["SET LOCAL session_replication_role = replica"]
    statements += [f"DELETE FROM {name}" for name in reversed(tables)]
    statements += [f"INSERT INTO {name} SELECT * FROM {_INITIAL}.{name}" for name in filled]
    statements += [
        f"SELECT setval('{name}', {start if last is None else last}, {last is not None})"
        for name, start, last in sequences
    ]
    return text(";".join(statements))
