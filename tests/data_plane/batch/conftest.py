import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.core.db.unit_of_work import Sessions
from tests.data_plane.batch.batch_yard import BatchYard


@pytest.fixture
def yard(sessions: Sessions, database_url: str, broker_url: str) -> Iterator[BatchYard]:
    """A platform's data dir, database and broker, and no batch worker yet."""
    with tempfile.TemporaryDirectory(prefix="my-batch-") as folder:
        Path(folder).chmod(0o711)
        yard = BatchYard(Path(folder), sessions, database_url, broker_url)
        yard.purge()
        yield yard
        yard.end()
