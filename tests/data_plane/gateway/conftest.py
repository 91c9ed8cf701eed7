import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.data_plane.gateway.gateway_process import FrontDoor
from tests.data_plane.replicas.worker_harness import WorkerHarness

OpenDoor = Callable[..., FrontDoor]


@contextmanager
def doors() -> Iterator[OpenDoor]:
    """Starts gateways, with workers in the interpreter that runs the tests: it has pandas."""
    with ExitStack() as at_the_end:
        folder = Path(at_the_end.enter_context(tempfile.TemporaryDirectory(prefix="my-gateway-")))
        folder.chmod(0o711)
        yard = WorkerHarness(folder, Path(sys.executable))
        at_the_end.callback(yard.end)

        def start(**options: Any) -> FrontDoor:
            door = FrontDoor(yard, **options)
            at_the_end.callback(door.end)
            return door

        yield start


@pytest.fixture
def open_door() -> Iterator[OpenDoor]:
    with doors() as start:
        yield start


@pytest.fixture
def door(open_door: OpenDoor) -> FrontDoor:
    """A gateway of the test's own."""
    return open_door()


@pytest.fixture(scope="module")
def module_door() -> Iterator[FrontDoor]:
    """One gateway for a whole file of tests that only ask."""
    with doors() as start:
        yield start()
