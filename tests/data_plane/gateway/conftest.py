import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.data_plane.gateway.gateway_process import GatewayProcess
from tests.data_plane.replicas.worker_harness import WorkerHarness

StartGateway = Callable[..., GatewayProcess]


@contextmanager
def gateways() -> Iterator[StartGateway]:
    """Start gateways, with workers in the interpreter that runs the tests, which has pandas."""
    with ExitStack() as at_the_end:
        folder = Path(at_the_end.enter_context(tempfile.TemporaryDirectory(prefix="my-gateway-")))
        folder.chmod(0o711)
        harness = WorkerHarness(folder, Path(sys.executable))
        at_the_end.callback(harness.end)

        def start(**options: Any) -> GatewayProcess:
            gateway = GatewayProcess(harness, **options)
            at_the_end.callback(gateway.end)
            return gateway

        yield start


@pytest.fixture
def start_gateway() -> Iterator[StartGateway]:
    with gateways() as start:
        yield start


@pytest.fixture
def gateway(start_gateway: StartGateway) -> GatewayProcess:
    """A gateway for a single test."""
    return start_gateway()


@pytest.fixture(scope="module")
def module_gateway() -> Iterator[GatewayProcess]:
    """A gateway shared by the tests of a file, which change nothing."""
    with gateways() as start:
        yield start()
