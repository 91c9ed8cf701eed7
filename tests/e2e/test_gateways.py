"""Several gateway processes on one socket."""

import json
import os
import signal
from contextlib import ExitStack

import httpx2
import psutil

from tests.e2e.load import Callers
from tests.e2e.platform import Platform, wait_until
from tests.e2e.test_operation import ROW, deployments_of

_GATEWAY = "data_plane.gateway.main"


def gateways(platform: Platform) -> list[psutil.Process]:
    return platform.services(_GATEWAY)


def applied(platform: Platform) -> list[tuple[int, int]]:
    """Pid and applied snapshot revision of each gateway."""
    files = sorted((platform.data_dir / "run").glob("gateway-*.applied"))
    return [(told["pid"], told["revision"]) for told in (json.loads(file.read_text()) for file in files)]


def set_share(platform: Platform, endpoint: str, percent: int) -> None:
    """Set the traffic; return when every gateway has applied the change."""
    (deployment, *_) = deployments_of(platform, endpoint)
    platform.cli("online-endpoint", "update", "-n", endpoint, "--traffic", f"{deployment['name']}={percent}")


def test_two_gateways_answer_and_a_killed_gateway_comes_back(platform: Platform, tour: str) -> None:
    with Callers(platform, tour, ROW, count=8).calling() as callers, ExitStack() as connected:
        before = {process.pid for process in gateways(platform)}

        def each_has_a_connection() -> bool:
            # One gateway may have accepted all connections of the callers.
            connected.enter_context(httpx2.Client(verify=False)).get(f"{platform.scoring_url}/{tour}/ping")
            return all(_has_connection(pid) for pid in before)

        wait_until(each_has_a_connection, 30, "each gateway has a connection")
        set_share(platform, tour, 0)
        set_share(platform, tour, 100)
        assert {pid for pid, _ in applied(platform)} == before
        assert len({revision for _, revision in applied(platform)}) == 1
    assert "200" in callers.answers

    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    (other,) = before - {victim}
    assert platform.score(tour, ROW).status_code == 200
    wait_until(lambda: len({process.pid for process in gateways(platform)} - {victim}) == 2, 30, "two gateways")
    # Returns only when both gateways have applied the change.
    set_share(platform, tour, 100)
    told = {pid for pid, _ in applied(platform)}
    assert other in told
    assert victim not in told


def _has_connection(pid: int) -> bool:
    """Whether the process has an established connection."""
    return any(each.status == psutil.CONN_ESTABLISHED for each in psutil.Process(pid).net_connections("tcp"))


def test_rate_limit_of_the_command_line_holds_over_both_gateways_and_none_removes_it(
    platform: Platform, tour: str
) -> None:
    key = platform.key(tour)
    platform.cli("online-endpoint", "update", "-n", tour, "--rate-limit", "second=1000 day=40")
    try:
        # A connection each, so that both gateways get requests.
        replies = [platform.score(tour, ROW, key=key) for _ in range(60)]
        passed = [reply.status_code for reply in replies].count(200)
        assert 39 <= passed <= 40
        assert {reply.status_code for reply in replies} == {200, 429}
        assert replies[-1].headers["ratelimit-policy"] == '"second";q=1000;w=1, "day";q=40;w=86400'
        assert platform.score(tour, ROW, key=keys_of(platform, tour)["secondaryKey"]).status_code == 200
    finally:
        platform.cli("online-endpoint", "update", "-n", tour, "--rate-limit", "none")
    assert "ratelimit" not in platform.score(tour, ROW, key=key).headers


def keys_of(platform: Platform, endpoint: str) -> dict[str, str]:
    return platform.rest("POST", f"/onlineEndpoints/{endpoint}/listKeys").json()
