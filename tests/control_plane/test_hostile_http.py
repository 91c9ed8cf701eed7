"""Attacks on the HTTP side of the control plane's port."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.control_plane.app_server import AppServer
from tests.hostile_http import HOSTILE_REQUESTS, ask_health, statuses


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A control plane without services: `/health` needs none."""
    server = AppServer.without_services()
    yield urlsplit(server.url).port or 0
    server.close()


@pytest.mark.parametrize(("request_bytes", "status"), HOSTILE_REQUESTS)
def test_hostile_request_gets_its_status_and_the_control_plane_goes_on(
    port: int, request_bytes: bytes, status: int
) -> None:
    assert statuses(port, request_bytes) == [status]
    assert ask_health(port) == 200
