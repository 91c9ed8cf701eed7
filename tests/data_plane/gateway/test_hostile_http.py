"""Attacks on the HTTP side of the gateway's port."""

import pytest

from tests.data_plane.gateway.gateway_process import GatewayProcess
from tests.hostile_http import HOSTILE_REQUESTS, ask_health, statuses


@pytest.mark.parametrize(("request_bytes", "status"), HOSTILE_REQUESTS)
def test_hostile_request_gets_its_status_and_the_gateway_goes_on(
    module_gateway: GatewayProcess, request_bytes: bytes, status: int
) -> None:
    assert statuses(module_gateway.port, request_bytes) == [status]
    assert ask_health(module_gateway.port) == 200
