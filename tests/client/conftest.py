from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.client import Client
from tests.client.arm_server import ArmServer
from tests.client.model_folder import write_model


@pytest.fixture
def server() -> Iterator[ArmServer]:
    server = ArmServer()
    yield server
    server.close()


@pytest.fixture
def client(server: ArmServer) -> Iterator[Client]:
    with Client(server.platform) as client:
        yield client


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")
