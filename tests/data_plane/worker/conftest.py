import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data_plane.replicas.interpreters import interpreters
from tests.data_plane.replicas.worker_harness import WorkerHarness


@pytest.fixture(params=interpreters().values(), ids=interpreters().keys())
def harness(request: pytest.FixtureRequest) -> Iterator[WorkerHarness]:
    """ModelWorkers of every interpreter on this machine, one after the other."""
    with tempfile.TemporaryDirectory(prefix="my-harness-") as folder:
        harness = WorkerHarness(Path(folder), request.param)
        yield harness
        harness.end()
