"""Engines of SQLAlchemy: waits with an end, and passwords only by SCRAM."""

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from modelyard.core.db.engine import create_engine

_CLEAR_TEXT = 3


class ClearTextServer:
    """A server that speaks as Postgres does and asks for the password in clear text."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.received = b""

    def serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            startup = connection.recv(4096)
            if startup[4:8] == struct.pack("!I", 80877103):
                # A request for TLS.
                connection.sendall(b"N")
                connection.recv(4096)
            connection.sendall(b"R" + struct.pack("!II", 8, _CLEAR_TEXT))
            self.received = connection.recv(4096)


@contextmanager
def clear_text_server() -> Iterator[tuple[ClearTextServer, str]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = ClearTextServer(listener)
        thread = threading.Thread(target=server.serve)
        thread.start()
        yield server, f"postgresql+psycopg://user:s3cret@127.0.0.1:{listener.getsockname()[1]}/modelyard"
        thread.join()


def test_server_that_asks_for_a_clear_text_password_gets_no_password():
    with (
        clear_text_server() as (server, url),
        pytest.raises(OperationalError, match="authentication method requirement"),
    ):
        create_engine(url).connect()
    assert b"s3cret" not in server.received


def test_require_auth_in_the_url_allows_another_method():
    with clear_text_server() as (server, url), pytest.raises(OperationalError):
        create_engine(f"{url}?require_auth=password").connect()
    assert b"s3cret" in server.received


def test_statement_is_ended_by_the_server_after_its_time(database_url):
    engine = create_engine(database_url, statement_seconds=0.2)
    with engine.connect() as connection, pytest.raises(OperationalError, match="statement timeout"):
        connection.execute(text("SELECT pg_sleep(20)"))
    engine.dispose()


def test_options_of_the_url_stay_beside_the_statement_timeout(database_url):
    engine = create_engine(f"{database_url}&options=-c%20work_mem%3D7MB", statement_seconds=7.0)
    with engine.connect() as connection:
        assert connection.scalar(text("SHOW work_mem")) == "7MB"
        assert connection.scalar(text("SHOW statement_timeout")) == "7s"
    engine.dispose()


def test_hung_server_raises_and_the_next_use_connects_again(database_url):
    engine = create_engine(database_url, statement_seconds=0.2, pool_pre_ping=True)
    with engine.connect() as connection:
        backend = connection.scalar(text("SELECT pg_backend_pid()"))
        os.kill(backend, signal.SIGSTOP)
        started = time.monotonic()
        try:
            with pytest.raises(OperationalError, match=r"has not answered for 1\.2 s"):
                connection.execute(text("SELECT 1"))
            assert time.monotonic() - started < 5
        finally:
            os.kill(backend, signal.SIGCONT)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != backend
    engine.dispose()
