"""One Postgres and one Valkey a session, started by the code and from the wheels of `modelyard up`."""

import gc
import os
import subprocess
import sys
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
from modelyard.supervisor.prepare_database import connect_or_create
from modelyard.supervisor.start_deadline import StartDeadline
from modelyard.supervisor.valkey import EmbeddedValkey
from tests.cached_environments import CACHE
from tests.recycled_database import RecycledDatabase
from tests.scheduling import (  # noqa: F401 - pytest finds hooks by name
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_xdist_make_scheduler,
)

_TEMPLATE = "modelyard_template"
_MEMORY = Path("/dev/shm")
_database_numbers = count(1)

# The processes that tests start compile our sources once, even where the account's setting is to write no bytecode.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# uv fetches and unpacks each package once; the packages stay for the next run, in this checkout or another.
os.environ["UV_CACHE_DIR"] = str(CACHE / "packages")

# The validator in Rust, which comes with Schemathesis, reads no half of a surrogate pair: a column's name may have one.
os.environ["OPENAPI_SPEC_VALIDATOR_SCHEMA_VALIDATOR_BACKEND"] = "jsonschema"


# Until the tests are collected: about a million objects come, and stay.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave the libraries and the collected tests out of every later garbage collection."""
    gc.freeze()
    gc.enable()


def wait_for_database(url: str) -> None:
    """Return once the database takes connections; create the database if it is missing."""
    StartDeadline(120.0, print).wait_for("the database", lambda: connect_or_create(url))


@contextmanager
def kept(command: list[str], log: Path, *options: str) -> Iterator[int]:
    """Run a server under a process shim for the length of the block; yield the shim's pid."""
    reader, writer = os.pipe()
    process = subprocess.Popen([*shim_command(reader, "--log", str(log), *options), "--", *command], pass_fds=[reader])
    os.close(reader)
    try:
        yield process.pid
    finally:
        os.close(writer)
        process.wait(20)


@contextmanager
def temporary_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that other users can traverse, as a platform run by root needs; pytest's own folders are closed."""
    with tempfile.TemporaryDirectory(prefix="my-tests-", dir=parent) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture
def passable_folder() -> Iterator[Path]:
    """A folder that other users can traverse."""
    with temporary_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def session_data_dir() -> Iterator[DataDir]:
    with temporary_folder() as folder:
        data_dir = DataDir(folder)
        data_dir.prepare()
        yield data_dir


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with temporary_folder(_MEMORY if _has_room(_MEMORY) else None) as folder:
        data_dir = DataDir(folder)
        data_dir.prepare()
        with embedded_postgres(data_dir) as server:
            wait_for_database(server.url(_TEMPLATE))
            template = create_engine(server.url(_TEMPLATE))
            migrate(template)
            template.dispose()
            yield server


def _has_room(file_system: Path) -> bool:
    """Whether the file system holds a Postgres cluster and runs programs."""
    try:
        status = os.statvfs(file_system)
    except FileNotFoundError:
        return False
    return status.f_bavail * status.f_frsize > 2 << 30 and not status.f_flag & os.ST_NOEXEC


@contextmanager
def embedded_postgres(data_dir: DataDir) -> Iterator[EmbeddedPostgres]:
    """Run the embedded Postgres of a data dir for the length of the block."""
    server = EmbeddedPostgres(data_dir)
    server.prepare()
    account = server.account
    user = ["--uid", str(account.pw_uid), "--gid", str(account.pw_gid)] if account else []
    with kept(server.command(), server.log, "--cwd", str(server.cluster), "--stop-signal", "INT", *user):
        yield server


@contextmanager
def own_database(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A migrated database for the length of the block; yield the database's URL."""
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
    """The URL of a migrated database of the test alone: other processes write to it, and tables may change."""
    with own_database(postgres) as url:
        yield url


@pytest.fixture
def own_engine(database_url: str) -> Iterator[Engine]:
    """An engine of the test's own database."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def recycled_database(postgres: EmbeddedPostgres) -> Iterator[RecycledDatabase]:
    with own_database(postgres) as url:
        database = RecycledDatabase(url)
        yield database
        database.close()


@pytest.fixture
def engine(recycled_database: RecycledDatabase) -> Iterator[Engine]:
    """An engine of a database with the rows of a new one, for tests that only this process serves."""
    recycled_database.reset()
    yield recycled_database.engine
    recycled_database.check_returned()


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    return sessions_of(engine)


@pytest.fixture(scope="session")
def broker_url(session_data_dir: DataDir) -> Iterator[str]:
    server = EmbeddedValkey(session_data_dir)
    server.prepare()
    with kept(server.command(), server.log, "--cwd", str(session_data_dir.valkey)):
        yield server.url
