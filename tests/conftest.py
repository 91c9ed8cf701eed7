"""One Postgres and one Valkey a session, from the same wheels and by the same code as `modelyard up`."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from migrations.run import migrate
from modelyard.core.data_dir import DataDir
from modelyard.core.db.unit_of_work import Sessions, open_database, sessions_of
from modelyard.process.shim_command import shim_command
from modelyard.supervisor.postgres import EmbeddedPostgres
from modelyard.supervisor.prepare_database import wait_for
from modelyard.supervisor.valkey import EmbeddedValkey

_TEMPLATE = "modelyard_template"
_TESTS = Path(__file__).parent
_database_numbers = count(1)

# Each package is fetched and unpacked once, for all tests and whatever they start; it stays for the next run.
os.environ["UV_CACHE_DIR"] = str(_TESTS.parent / ".pytest_cache" / "packages")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of the files that two processes share out among them, the longest begin."""
    items.sort(key=lambda item: item.path.parent != _TESTS / "e2e")


@contextmanager
def kept(command: list[str], log: Path, *options: str) -> Iterator[int]:
    """Run a server under a keeper for the length of the block; yields the keeper's pid."""
    reader, writer = os.pipe()
    process = subprocess.Popen([*shim_command(reader, "--log", str(log), *options), "--", *command], pass_fds=[reader])
    os.close(reader)
    try:
        yield process.pid
    finally:
        os.close(writer)
        process.wait(20)


@contextmanager
def _passable_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="my-tests-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture
def passable_folder() -> Iterator[Path]:
    """A folder that other users can pass, as a platform run by root needs it; pytest's own are closed."""
    with _passable_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def session_data_dir() -> Iterator[DataDir]:
    with _passable_folder() as folder:
        data_dir = DataDir(folder)
        data_dir.prepare()
        yield data_dir


@pytest.fixture(scope="session")
def postgres(session_data_dir: DataDir) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(session_data_dir)
    server.prepare()
    account = server.account
    user = ["--uid", str(account.pw_uid), "--gid", str(account.pw_gid)] if account else []
    with kept(server.command(), server.log, "--cwd", str(server.cluster), "--stop-signal", "INT", *user):
        wait_for(server.url(_TEMPLATE))
        template = create_engine(server.url(_TEMPLATE))
        migrate(template)
        template.dispose()
        yield server
    server.clean_up()


@contextmanager
def own_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database with the schema that the migrations make, for the length of the block; yields its URL."""
    name = f"test_{next(_database_numbers)}"
    server = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}"))
    yield postgres.url(name)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database of the test's own."""
    with own_database(postgres) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    return sessions_of(engine)


@pytest.fixture(scope="session")
def broker_url(session_data_dir: DataDir) -> Iterator[str]:
    server = EmbeddedValkey(session_data_dir)
    server.prepare()
    with kept(server.command(), server.log, "--cwd", str(session_data_dir.valkey)):
        yield server.url
