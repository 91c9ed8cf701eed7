import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data_plane.replicas.interpreters import interpreters
from tests.data_plane.replicas.worker_harness import WorkerHarness

_BETWEEN = list(interpreters())[1:-1]
"""All Python versions of this machine but the oldest and the newest; `make test-long` runs these too."""
_PARAMS = [
    pytest.param(path, marks=[pytest.mark.long] if version in _BETWEEN else [], id=version)
    for version, path in interpreters().items()
]


@pytest.fixture(params=_PARAMS)
def harness(request: pytest.FixtureRequest) -> Iterator[WorkerHarness]:
    """Model workers with each interpreter of the machine in turn."""
    with tempfile.TemporaryDirectory(prefix="my-harness-") as folder:
        harness = WorkerHarness(Path(folder), request.param)
        yield harness
        harness.end()
