import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from modelyard.core.db.unit_of_work import Sessions, open_database, sessions_of
from modelyard.supervisor.postgres import EmbeddedPostgres
from tests.data_plane.batch.batch_harness import BatchHarness

_DATABASE = "standing_batch_harness"


@contextmanager
def _harness(sessions: Sessions, database_url: str, broker_url: str) -> Iterator[BatchHarness]:
    with tempfile.TemporaryDirectory(prefix="my-batch-") as folder:
        Path(folder).chmod(0o711)
        harness = BatchHarness(Path(folder), sessions, database_url, broker_url)
        harness.purge()
        yield harness
        harness.end()


@pytest.fixture
def engine(own_engine: Engine) -> Engine:
    """Other processes write to the database."""
    return own_engine


@pytest.fixture
def harness(sessions: Sessions, database_url: str, broker_url: str) -> Iterator[BatchHarness]:
    """A platform's data dir, database and broker, and no batch worker yet."""
    with _harness(sessions, database_url, broker_url) as harness:
        yield harness


@pytest.fixture(scope="module")
def standing(postgres: EmbeddedPostgres, broker_url: str) -> Iterator[BatchHarness]:
    """A harness for all tests of a module, with two batch workers: their start is slow."""
    server = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {_DATABASE} TEMPLATE modelyard_template"))
    engine = open_database(postgres.url(_DATABASE))
    # A virtual host keeps the messages from the batch workers of other harnesses.
    with _harness(sessions_of(engine), postgres.url(_DATABASE), f"{broker_url}?virtual_host=1") as harness:
        for index in range(2):
            harness.start_worker(index, workers=2)
        yield harness
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {_DATABASE} WITH (FORCE)"))
    server.dispose()
