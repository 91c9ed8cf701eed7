"""Waiting for notifications of Postgres, so that a process need not ask again and again.

A notification only ends a wait: what has changed is in the tables. The server sends none while the connection is down,
and a connection pooler may pass none on, so that every wait has an end.
"""

import os
import select
from contextlib import suppress
from typing import Any

from psycopg import Error
from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection


class NotificationListener:
    """A single thread waits, and any thread may end the wait."""

    def __init__(self, engine: Engine, channel: str) -> None:
        """`channel` is an identifier. The listener holds one connection of the engine's pool."""
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._channel = channel
        self._connection: Connection | None = None
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    @property
    def is_listening(self) -> bool:
        return self._connection is not None

    def listen(self) -> None:
        """Connect, unless connected. A change that commits after this call ends a wait. Raises DBAPIError."""
        if self._connection is not None:
            return
        connection = self._engine.connect()
        try:
            connection.execute(text(f"LISTEN {self._channel}"))
        except BaseException:
            connection.invalidate()
            connection.close()
            raise
        self._connection = connection

    def wake(self) -> None:
        """End the current or the next wait."""
        with suppress(BlockingIOError):  # The pipe is full, so that the next wait ends at once.
            os.write(self._writer, b"\0")

    def wait(self, seconds: float) -> None:
        """Wait for a notification or `wake`, for `seconds` at most. The loss of the connection also ends the wait."""
        driver = self._driver
        descriptors = [self._reader] if driver is None else [self._reader, driver.fileno()]
        readable, _, _ = select.select(descriptors, [], [], seconds)
        if self._reader in readable:
            os.read(self._reader, 4096)
        if driver is not None and descriptors[1] in readable:
            try:
                driver.pgconn.consume_input()
                while driver.pgconn.notifies():
                    pass
            except Error:
                self.close()

    def close(self) -> None:
        """Give up the connection, if any. `listen` makes a new one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # Not back to the pool: the session would go on listening.
            connection.invalidate()
            connection.close()

    @property
    def _driver(self) -> Any:
        if self._connection is None:
            return None
        return self._connection.connection.driver_connection
