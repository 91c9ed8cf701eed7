import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data_plane.replicas.interpreters import interpreters
from tests.data_plane.replicas.worker_harness import WorkerHarness


@pytest.fixture
def harness() -> Iterator[WorkerHarness]:
    """Model workers with the newest interpreter of the machine."""
    with tempfile.TemporaryDirectory(prefix="my-harness-") as folder:
        Path(folder).chmod(0o711)
        harness = WorkerHarness(Path(folder), [*interpreters().values()][-1])
        yield harness
        harness.end()
