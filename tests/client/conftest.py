from collections.abc import Iterator
from pathlib import Path

import pytest

from modelyard.client import Client
from tests.client.model_folder import write_model
from tests.client.platform_proxy import PlatformProxy, platform, shared_platform

__all__ = ["platform", "shared_platform"]


@pytest.fixture
def client(platform: PlatformProxy) -> Iterator[Client]:
    with Client(platform.address) as client:
        yield client


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model")
