"""Waiting for notifications, with a real Postgres. Each wait without an event would last beyond the test's patience."""

import threading
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, text

from modelyard.core.db.notifications import NotificationListener

_PATIENCE = 120.0
_FOR_EVER = 3600.0


@pytest.fixture
def listener(engine: Engine) -> Iterator[NotificationListener]:
    listener = NotificationListener(engine, "news")
    yield listener
    listener.close()


class Waiting:
    """A wait in a thread."""

    def __init__(self, listener: NotificationListener) -> None:
        self._thread = threading.Thread(target=listener.wait, args=(_FOR_EVER,), daemon=True)
        self._thread.start()

    def ends(self) -> bool:
        self._thread.join(_PATIENCE)
        return not self._thread.is_alive()


def execute(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def end_listening_sessions(engine: Engine) -> None:
    execute(engine, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")


def test_notification_ends_a_wait(engine, listener):
    listener.listen()
    waiting = Waiting(listener)
    execute(engine, "SELECT pg_notify('news', '')")
    assert waiting.ends()


def test_notification_between_listen_and_wait_ends_the_wait(engine, listener):
    listener.listen()
    execute(engine, "SELECT pg_notify('news', '')")
    assert Waiting(listener).ends()


def test_notification_ends_one_wait_only(engine, listener):
    listener.listen()
    execute(engine, "SELECT pg_notify('news', '')")
    assert Waiting(listener).ends()
    began = time.monotonic()
    listener.wait(0.1)
    assert time.monotonic() - began >= 0.1


def test_wake_ends_a_wait_with_and_without_a_connection(listener):
    listener.wake()
    assert Waiting(listener).ends()
    listener.listen()
    waiting = Waiting(listener)
    listener.wake()
    assert waiting.ends()


def test_many_wakes_do_not_block(listener):
    for _ in range(100_000):
        listener.wake()
    assert Waiting(listener).ends()


def test_loss_of_the_connection_ends_the_wait_and_listen_connects_again(engine, listener):
    listener.listen()
    end_listening_sessions(engine)
    # The server's last message may come alone.
    while listener.is_listening:
        assert Waiting(listener).ends()
    listener.listen()
    waiting = Waiting(listener)
    execute(engine, "SELECT pg_notify('news', '')")
    assert waiting.ends()


def test_closed_listener_leaves_no_listening_session_in_the_pool(engine, listener):
    listener.listen()
    listener.close()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT pg_listening_channels()")).all() == []
