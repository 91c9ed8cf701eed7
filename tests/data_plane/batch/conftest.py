import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from modelyard.core.db.unit_of_work import Sessions, open_database, sessions_of
from modelyard.supervisor.postgres import EmbeddedPostgres
from tests.data_plane.batch.batch_harness import BatchYard

_DATABASE = "standing_batch_yard"


@contextmanager
def _yard(sessions: Sessions, database_url: str, broker_url: str) -> Iterator[BatchYard]:
    with tempfile.TemporaryDirectory(prefix="my-batch-") as folder:
        Path(folder).chmod(0o711)
        yard = BatchYard(Path(folder), sessions, database_url, broker_url)
        yard.purge()
        yield yard
        yard.end()


@pytest.fixture
def yard(sessions: Sessions, database_url: str, broker_url: str) -> Iterator[BatchYard]:
    """A platform's data dir, database and broker, and no batch worker yet."""
    with _yard(sessions, database_url, broker_url) as yard:
        yield yard


@pytest.fixture(scope="module")
def standing(postgres: EmbeddedPostgres, broker_url: str) -> Iterator[BatchYard]:
    """One for all tests of a module, with two batch workers, which start slowly."""
    server = create_engine(postgres.url("postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {_DATABASE} TEMPLATE modelyard_template"))
    engine = open_database(postgres.url(_DATABASE))
    # Its messages are not for the workers of other yards.
    with _yard(sessions_of(engine), postgres.url(_DATABASE), f"{broker_url}?virtual_host=1") as yard:
        for index in range(2):
            yard.start_worker(index, workers=2)
        yield yard
    engine.dispose()
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {_DATABASE} WITH (FORCE)"))
    server.dispose()
