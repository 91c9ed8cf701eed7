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


class GatewayLender:
    """Lends one gateway to the tests of a file in turn, and a new one when a test has ended the gateway."""

    def __init__(self, at_the_end: ExitStack) -> None:
        self._at_the_end = at_the_end
        self._idle: GatewayProcess | None = None

    @contextmanager
    def lend(self) -> Iterator[GatewayProcess]:
        gateway, self._idle = self._idle or self._at_the_end.enter_context(gateways())(), None
        yield gateway
        gateway.forget_deployments()
        if gateway.is_whole():
            self._idle = gateway


@pytest.fixture(scope="module")
def gateway_lender() -> Iterator[GatewayLender]:
    with ExitStack() as at_the_end:
        yield GatewayLender(at_the_end)


@pytest.fixture
def lent_gateway(gateway_lender: GatewayLender) -> Iterator[GatewayProcess]:
    """A gateway without deployments, for a single test."""
    with gateway_lender.lend() as gateway:
        yield gateway


@pytest.fixture
def gateway(lent_gateway: GatewayProcess) -> GatewayProcess:
    return lent_gateway


@pytest.fixture
def new_gateway(start_gateway: StartGateway) -> GatewayProcess:
    """A gateway that has served no test before."""
    return start_gateway()


@pytest.fixture(scope="module")
def module_gateway() -> Iterator[GatewayProcess]:
    """A gateway shared by the tests of a file, which change nothing."""
    with gateways() as start:
        yield start()
