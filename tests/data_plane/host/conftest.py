import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.core.db.unit_of_work import Sessions
from tests.data_plane.host.host_yard import HostYard


@pytest.fixture
def yard(sessions: Sessions, database_url: str) -> Iterator[HostYard]:
    """A platform's data dir and database, with the endpoint "wines", and no host yet."""
    with tempfile.TemporaryDirectory(prefix="my-host-") as folder:
        Path(folder).chmod(0o711)
        yard = HostYard(Path(folder), sessions, database_url)
        yard.endpoint()
        yield yard
        yard.end()
