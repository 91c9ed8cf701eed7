"""A start without one of its servers says which, waits, and goes on or ends with one line and exit code 1."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, text

from modelyard.core.data_dir import DataDir
from modelyard.supervisor.postgres import EmbeddedPostgres
from tests.conftest import kept
from tests.supervisor.starts import Start, ended, migrated, started

# No process of ours: what is tested ends or waits before.
NOBODY = ("--role", "builder", "--builders", "0")
SOON = {"MODELYARD_START_PATIENCE": "0.5"}


@contextmanager
def closed_port() -> Iterator[str]:
    """Host and port of nobody, for sure: bound, and not listening."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def silent_port() -> Iterator[str]:
    """Who connects is never answered."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"127.0.0.1:{silent.getsockname()[1]}"


def refusal(start: Start, code: int = 1) -> str:
    """What it ended with: the last line, the only one that is an error."""
    assert start.process.returncode == code, start.printed
    assert "Traceback" not in start.printed
    errors = [line for line in start.printed.splitlines() if line.startswith("error: ")]
    assert errors == [line for line in start.printed.splitlines() if not line.startswith("waiting")]
    (error,) = errors
    return error


class TestTheDatabase:
    def test_a_port_where_nobody_listens_is_named_without_the_password(self, passable_folder, servers):
        with closed_port() as place:
            url = f"postgresql+psycopg://somebody:s3cret@{place}/modelyard"
            start = ended(passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_DATABASE_URL": url}, **SOON)
        assert f"waiting for the database at {place}: " in start.printed
        assert f"the database at {place} does not answer: " in refusal(start)
        assert "refused" in refusal(start)
        assert "s3cret" not in start.printed

    def test_one_that_takes_the_connection_and_is_silent_does_not_hold_it_up(self, passable_folder, servers):
        with silent_port() as place:
            url = f"postgresql+psycopg://somebody@{place}/modelyard"
            start = ended(passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_DATABASE_URL": url}, **SOON)
        assert f"the database at {place} does not answer: " in refusal(start)

    def test_a_wrong_password_is_not_waited_for(self, passable_folder, servers, postgres):
        url = servers["MODELYARD_DATABASE_URL"].replace(postgres.password, "s3cret")
        start = ended(passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_DATABASE_URL": url})
        assert "rejected the connection (password authentication failed" in refusal(start)
        assert "correct user and password in MODELYARD_DATABASE_URL" in refusal(start)
        assert "s3cret" not in start.printed

    def test_a_missing_database_is_waited_for_by_who_may_not_make_it(self, passable_folder, servers, postgres):
        url = postgres.url("missing")
        start = ended(passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_DATABASE_URL": url}, **SOON)
        assert 'database "missing" does not exist' in refusal(start)

    def test_a_missing_database_that_the_user_may_not_make_is_a_refusal(self, passable_folder, postgres):
        server = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text("CREATE ROLE humble LOGIN PASSWORD 'pw'"))
            url = postgres.url("missing").replace(f"modelyard:{postgres.password}", "humble:pw")
            done = migrated(passable_folder, MODELYARD_DATABASE_URL=url)
            connection.execute(text("DROP ROLE humble"))
        server.dispose()
        assert done.returncode == 1
        assert "has no database 'missing', and the database cannot be created (permission denied" in done.stderr

    def test_a_schema_that_is_not_there_is_waited_for(self, passable_folder, servers, postgres):
        start = ended(
            passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_DATABASE_URL": postgres.url("postgres")}, **SOON
        )
        assert "waiting for the schema of the database" in start.printed
        assert "modelyard migrate" in refusal(start)

    def test_the_start_goes_on_when_it_comes_up(self, passable_folder, servers):
        data_dir = DataDir(passable_folder / "server")
        data_dir.prepare()
        late = EmbeddedPostgres(data_dir)
        late.prepare()
        url = late.url()
        account = late.account
        user = ["--uid", str(account.pw_uid), "--gid", str(account.pw_gid)] if account else []
        with started(passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_DATABASE_URL": url}) as start:
            start.says("waiting for the database at ")
            with kept(late.command(), late.log, "--cwd", str(late.cluster), "--stop-signal", "INT", *user):
                assert migrated(passable_folder, MODELYARD_DATABASE_URL=url).returncode == 0
                start.becomes_healthy()
                assert start.stop() == 0
        late.clean_up()

    def test_told_to_stop_while_it_waits_it_stops(self, passable_folder, servers):
        with closed_port() as place:
            url = f"postgresql+psycopg://somebody@{place}/modelyard"
            with started(passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_DATABASE_URL": url}) as start:
                start.says("waiting for the database")
                assert start.stop() == 0


class TestTheBroker:
    def test_a_port_where_nobody_listens_is_named_without_the_password(self, passable_folder, servers):
        with closed_port() as place:
            url = f"redis://:s3cret@{place}/0"
            start = ended(passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_BROKER_URL": url}, **SOON)
        assert f"the broker at {place} does not answer: " in refusal(start)
        assert "s3cret" not in start.printed

    def test_one_that_takes_the_connection_and_is_silent_does_not_hold_it_up(self, passable_folder, servers):
        with silent_port() as place:
            url = f"redis://{place}/0"
            start = ended(passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_BROKER_URL": url}, **SOON)
        assert f"the broker at {place} does not answer: " in refusal(start)

    def test_a_wrong_password_is_not_waited_for(self, passable_folder, servers):
        head, at, rest = servers["MODELYARD_BROKER_URL"].rpartition("@")
        url = f"{head[: head.rindex(':')]}:s3cret{at}{rest}"
        start = ended(passable_folder / "data", *NOBODY, **{**servers, "MODELYARD_BROKER_URL": url})
        assert "the broker at " in refusal(start)
        assert "rejected the connection (" in refusal(start)
        assert "correct MODELYARD_BROKER_URL" in refusal(start)
        assert "s3cret" not in start.printed


class TestMigrate:
    def test_it_needs_a_database_to_be_named(self, passable_folder):
        done = migrated(passable_folder)
        assert done.returncode == 2
        assert "MODELYARD_DATABASE_URL must be set" in done.stderr

    def test_it_makes_the_database_and_ends_and_once_more_changes_nothing(self, passable_folder, postgres):
        url = postgres.url("made_by_migrate")
        for _ in range(2):
            done = migrated(passable_folder, MODELYARD_DATABASE_URL=url)
            assert (done.returncode, done.stderr) == (0, "the database is up to date\n")
        server = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text("DROP DATABASE made_by_migrate"))
        server.dispose()

    def test_a_schema_of_a_newer_version_is_a_sentence(self, passable_folder, database_url):
        engine = create_engine(database_url)
        with engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        engine.dispose()
        done = migrated(passable_folder, MODELYARD_DATABASE_URL=database_url)
        assert done.returncode == 1
        assert "newer version of modelyard" in done.stderr
        assert "Traceback" not in done.stderr


def test_an_admin_token_that_somebody_else_uses_is_not_replaced_unasked(passable_folder, servers):
    control = ("--role", "control-plane")
    with started(passable_folder / "first", *control, **servers) as first:
        first.becomes_healthy()
        second = ended(passable_folder / "second", *control, **servers)
        assert "MODELYARD_ADMIN_TOKEN" in refusal(second)
