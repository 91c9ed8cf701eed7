"""The servers that the control plane depends on, asked all the time, so that a request need not find out.

One thread asks the database, and one the broker. A server that answers beats for the supervisor, which replaces a hung
embedded server; `dependencies` beats while every server can be used.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from celery import Celery
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from modelyard.core.db.engine import create_engine
from modelyard.core.settings import PlatformSettings
from modelyard.process.heartbeat import Heartbeat

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.5
_RECONNECT_SECONDS = 5
"""Age at which the connection for questions is renewed: a server may hang for new connections alone."""


class Refused(Exception):
    """The server answers, and cannot be used now."""


class Dependency:
    def __init__(self, name: str, ask: Callable[[], None], heartbeat: Heartbeat) -> None:
        """`ask` raises Refused, or any exception for a server that does not answer."""
        self.name = name
        self._ask = ask
        self._heartbeat = heartbeat
        self._answered_at = time.monotonic()
        self._is_available = True

    @property
    def is_available(self) -> bool:
        return self._is_available

    @property
    def silent_seconds(self) -> float:
        """Time since the server could be used."""
        return 0.0 if self._is_available else time.monotonic() - self._answered_at

    def look(self) -> None:
        """Ask the server once."""
        try:
            self._ask()
        except Refused as reason:
            self._heartbeat.beat()
            self._become(available=False, reason=reason)
        except Exception as error:  # noqa: BLE001 - whatever the reason, the server cannot be used
            self._become(available=False, reason=error)
        else:
            self._heartbeat.beat()
            self._answered_at = time.monotonic()
            self._become(available=True)

    def _become(self, *, available: bool, reason: Exception | None = None) -> None:
        if available and not self._is_available:
            _log.info("the %s answers again", self.name)
        if not available and self._is_available:
            _log.warning("the %s cannot be used: %s", self.name, reason)
        self._is_available = available


class Dependencies:
    def __init__(self, database: Dependency | None = None, broker: Dependency | None = None) -> None:
        self._database = database
        self._all: Sequence[Dependency] = [each for each in (database, broker) if each is not None]

    @property
    def database_answers(self) -> bool:
        return self._database is None or self._database.is_available

    @property
    def unavailable(self) -> Sequence[Dependency]:
        return [each for each in self._all if not each.is_available]

    def start(self, heartbeat: Heartbeat) -> None:
        """Ask all servers from now on, in threads; `heartbeat` beats while all of them can be used."""

        def watch(dependency: Dependency) -> None:
            while True:
                dependency.look()
                if not self.unavailable:
                    heartbeat.beat()
                time.sleep(_PAUSE_SECONDS)

        for each in self._all:
            threading.Thread(target=watch, args=(each,), name=f"watch-{each.name}", daemon=True).start()


def watch_dependencies(settings: PlatformSettings) -> Dependencies:
    """Return the servers of these settings, watched from now on."""
    answer_seconds = settings.control_plane.database_seconds
    folder = settings.data_dir.heartbeats
    folder.mkdir(parents=True, exist_ok=True)
    database = DatabaseCheck(settings.database_url.get_secret_value(), answer_seconds)
    broker = BrokerCheck(settings.broker_url.get_secret_value(), answer_seconds)
    dependencies = Dependencies(
        Dependency("database", database, Heartbeat(folder / "database")),
        Dependency("broker", broker, Heartbeat(folder / "broker")),
    )
    dependencies.start(Heartbeat(folder / "dependencies"))
    return dependencies


class DatabaseCheck:
    def __init__(self, url: str, answer_seconds: float) -> None:
        self._engine = create_engine(
            url,
            connect_seconds=2,
            # The client waits a second longer.
            statement_seconds=answer_seconds - 1.0,
            pool_size=1,
            pool_recycle=_RECONNECT_SECONDS,
        )

    def __call__(self) -> None:
        asked_at = time.monotonic()
        try:
            self._select_one()
        except DBAPIError as error:
            if time.monotonic() - asked_at > _PAUSE_SECONDS:
                raise _explained(error) from error
        else:
            return
        # A connection that broke at once says nothing about the server.
        try:
            self._select_one()
        except DBAPIError as error:
            raise _explained(error) from error

    def close(self) -> None:
        self._engine.dispose()

    def _select_one(self) -> None:
        with self._engine.connect() as connection:
            connection.execute(text("SELECT 1"))


def _explained(error: DBAPIError) -> Exception:
    """Return Refused for an answer of the server, also for an answer before the connection is made."""
    has_answered = getattr(error.orig, "sqlstate", None) is not None or "FATAL" in str(error.orig)
    return Refused(str(error.orig)) if has_answered else error


class BrokerCheck:
    def __init__(self, url: str, answer_seconds: float) -> None:
        self._app = Celery(broker=url, set_as_current=False)
        self._waits = {"socket_connect_timeout": answer_seconds, "socket_timeout": answer_seconds, "max_retries": 0}
        self._connection: Any = None

    def __call__(self) -> None:
        if self._connection is None:
            self._connection = self._app.connection_for_write(transport_options=self._waits)
        try:
            self._connection.default_channel.client.ping()
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.release()
