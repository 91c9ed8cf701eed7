"""Servers run once a session; each test has an empty store."""

from collections.abc import Callable, Iterator

import pytest

from modelyard.core.adapters.object_stores import open_store
from modelyard.core.ports.object_store import ObjectStore
from tests.object_stores.servers import StoreServer, azure_server, s3_server


@pytest.fixture(scope="session")
def s3() -> Iterator[StoreServer]:
    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def azure() -> Iterator[StoreServer]:
    with azure_server() as server:
        yield server


@pytest.fixture(params=["folder", "s3", "azure"])
def open_again(request: pytest.FixtureRequest, tmp_path) -> Callable[[], ObjectStore]:
    """Open the test's store with a new client, as each process of the platform does."""
    if request.param == "folder":
        return lambda: open_store((tmp_path / "objects").as_uri(), {})
    server: StoreServer = request.getfixturevalue(request.param).another()
    return lambda: open_store(server.url, server.environment)


@pytest.fixture
def store(open_again: Callable[[], ObjectStore]) -> ObjectStore:
    return open_again()
