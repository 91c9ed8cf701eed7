"""A start without database or broker: names the server, waits, and continues or ends with one line and exit code 1.

`modelyard up` prints the lines of its preparation. Two tests run the whole start to its end; the others call the
preparation in this process, which costs a second less each.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import create_engine, text

from modelyard.core.data_dir import DataDir
from modelyard.supervisor import prepare
from modelyard.supervisor.postgres import EmbeddedPostgres
from tests.conftest import kept
from tests.supervisor.starts import Start, ended, migrated, started

# A role without a process: the start ends or waits before the first one.
NO_PROCESSES = ("--role", "builder", "--builders", "0")
SOON = {"MODELYARD_START_PATIENCE": "0.5"}


@contextmanager
def closed_port() -> Iterator[str]:
    """Yield host and port of a socket that is bound and does not listen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def silent_port() -> Iterator[str]:
    """Yield host and port of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"127.0.0.1:{silent.getsockname()[1]}"


def refusal(start: Start, code: int = 1) -> str:
    """Return the last line of an ended start, its only error."""
    assert start.process.returncode == code, start.printed
    assert "Traceback" not in start.printed
    errors = [line for line in start.printed.splitlines() if line.startswith("error: ")]
    assert errors == [line for line in start.printed.splitlines() if not line.startswith("waiting")]
    (error,) = errors
    return error


@dataclass(frozen=True)
class Preparation:
    exit_code: int
    printed: str
    error: str


Prepare = Callable[..., Preparation]


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Prepare:
    """Run the preparation of a start with the given variables alone."""

    def run(task: str, **variables: str) -> Preparation:
        for name in os.environ:
            if name.startswith(("MODELYARD_", "AWS_", "AZURE_")):
                monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        exit_code = prepare.main([task])
        printed, error = capsys.readouterr()
        return Preparation(exit_code, printed + error, error)

    return run


def one_error(done: Preparation) -> str:
    """Return the only line of standard error, which the start prints as its error."""
    assert done.exit_code == 1, done.printed
    (line,) = done.error.splitlines()
    return line


class TestDatabase:
    def test_closed_port_is_named_without_the_password(self, passable_folder, servers):
        with closed_port() as address:
            url = f"postgresql+psycopg://user:s3cret@{address}/modelyard"
            start = ended(passable_folder / "data", *NO_PROCESSES, **{**servers, "MODELYARD_DATABASE_URL": url}, **SOON)
        assert f"waiting for the database at {address}: " in start.printed
        assert f"the database at {address} does not answer: " in refusal(start)
        assert "refused" in refusal(start)
        assert "s3cret" not in start.printed

    def test_silent_server_does_not_delay_the_end_of_the_start(self, prepared, servers):
        with silent_port() as address:
            url = f"postgresql+psycopg://user@{address}/modelyard"
            done = prepared("--wait-for-schema", **{**servers, "MODELYARD_DATABASE_URL": url}, **SOON)
        assert f"the database at {address} does not answer: " in one_error(done)

    def test_wrong_password_ends_the_start_at_once(self, prepared, servers, postgres):
        url = servers["MODELYARD_DATABASE_URL"].replace(postgres.password, "s3cret")
        done = prepared("--wait-for-schema", **{**servers, "MODELYARD_DATABASE_URL": url})
        assert "rejected the connection (password authentication failed" in one_error(done)
        assert "correct user and password in MODELYARD_DATABASE_URL" in one_error(done)
        assert "waiting" not in done.printed
        assert "s3cret" not in done.printed

    def test_machine_without_control_plane_waits_for_a_missing_database(self, prepared, servers, postgres):
        url = postgres.url("missing")
        done = prepared("--wait-for-schema", **{**servers, "MODELYARD_DATABASE_URL": url}, **SOON)
        assert "waiting for the database" in done.printed
        assert 'database "missing" does not exist' in one_error(done)

    def test_missing_database_that_the_user_may_not_create_ends_migrate(self, prepared, postgres):
        server = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text("CREATE ROLE humble LOGIN PASSWORD 'pw'"))
            url = postgres.url("missing").replace(f"modelyard:{postgres.password}", "humble:pw")
            done = prepared("--migrate-only", MODELYARD_DATABASE_URL=url)
            connection.execute(text("DROP ROLE humble"))
        server.dispose()
        assert "has no database 'missing', and the database cannot be created (permission denied" in one_error(done)

    def test_machine_without_control_plane_waits_for_the_schema(self, prepared, servers, postgres):
        url = postgres.url("postgres")
        done = prepared("--wait-for-schema", **{**servers, "MODELYARD_DATABASE_URL": url}, **SOON)
        assert "waiting for the schema of the database" in done.printed
        assert "modelyard migrate" in one_error(done)

    def test_start_continues_when_the_database_answers(self, passable_folder, servers):
        data_dir = DataDir(passable_folder / "server")
        data_dir.prepare()
        late = EmbeddedPostgres(data_dir)
        late.prepare()
        url = late.url()
        account = late.account
        user = ["--uid", str(account.pw_uid), "--gid", str(account.pw_gid)] if account else []
        with started(passable_folder / "data", *NO_PROCESSES, **{**servers, "MODELYARD_DATABASE_URL": url}) as start:
            start.says("waiting for the database at ")
            with kept(late.command(), late.log, "--cwd", str(late.cluster), "--stop-signal", "INT", *user):
                assert migrated(passable_folder, MODELYARD_DATABASE_URL=url).returncode == 0
                start.becomes_healthy()
                assert start.stop() == 0

    def test_stop_signal_during_the_wait_stops_the_start(self, passable_folder, servers):
        with closed_port() as address:
            url = f"postgresql+psycopg://user@{address}/modelyard"
            with started(
                passable_folder / "data", *NO_PROCESSES, **{**servers, "MODELYARD_DATABASE_URL": url}
            ) as start:
                start.says("waiting for the database")
                assert start.stop() == 0


class TestBroker:
    def test_closed_port_is_named_without_the_password(self, passable_folder, servers):
        with closed_port() as address:
            url = f"redis://:s3cret@{address}/0"
            start = ended(passable_folder / "data", *NO_PROCESSES, **{**servers, "MODELYARD_BROKER_URL": url}, **SOON)
        assert f"the broker at {address} does not answer: " in refusal(start)
        assert "s3cret" not in start.printed

    def test_silent_server_does_not_delay_the_end_of_the_start(self, prepared, servers):
        with silent_port() as address:
            url = f"redis://{address}/0"
            done = prepared("--wait-for-schema", **{**servers, "MODELYARD_BROKER_URL": url}, **SOON)
        assert f"the broker at {address} does not answer: " in one_error(done)

    def test_wrong_password_ends_the_start_at_once(self, prepared, servers):
        head, at, rest = servers["MODELYARD_BROKER_URL"].rpartition("@")
        url = f"{head[: head.rindex(':')]}:s3cret{at}{rest}"
        done = prepared("--wait-for-schema", **{**servers, "MODELYARD_BROKER_URL": url})
        assert "the broker at " in one_error(done)
        assert "rejected the connection (" in one_error(done)
        assert "correct MODELYARD_BROKER_URL" in one_error(done)
        assert "s3cret" not in done.printed


class TestMigrate:
    def test_migrate_without_a_database_url_is_refused(self, passable_folder):
        done = migrated(passable_folder)
        assert done.returncode == 2
        assert "MODELYARD_DATABASE_URL must be set" in done.stderr

    def test_migrate_creates_the_database_and_may_be_repeated(self, passable_folder, postgres):
        url = postgres.url("made_by_migrate")
        for _ in range(2):
            done = migrated(passable_folder, MODELYARD_DATABASE_URL=url)
            assert (done.returncode, done.stderr) == (0, "the database is up to date\n")
        server = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text("DROP DATABASE made_by_migrate"))
        server.dispose()

    def test_schema_of_a_newer_version_is_refused_in_one_line(self, prepared, database_url):
        engine = create_engine(database_url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        engine.dispose()
        done = prepared("--migrate-only", MODELYARD_DATABASE_URL=database_url)
        assert "newer version of modelyard" in one_error(done)


def test_second_control_plane_does_not_replace_the_admin_token_of_the_first(passable_folder, servers):
    control = ("--role", "control-plane")
    with started(passable_folder / "first", *control, **servers) as first:
        first.becomes_healthy()
        second = ended(passable_folder / "second", *control, **servers)
        assert "MODELYARD_ADMIN_TOKEN" in refusal(second)
