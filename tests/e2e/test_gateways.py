"""Several gateway processes on one socket."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2
import psutil
import pytest

from tests.e2e.load import Callers
from tests.e2e.platform import Platform, wait_until
from tests.e2e.test_operation import ROW, deployments_of

_GATEWAY = "-m data_plane.gateway.main"


@pytest.fixture
def twofold(platform: Platform, tour: str) -> Iterator[Platform]:
    """The same platform with two gateways, for the length of a test."""
    platform.stop()
    platform.start("--gateways", "2")
    wait_until(lambda: len(gateways(platform)) == 2, 30, "two gateways")
    wait_until(lambda: serves(platform, tour), 60, "the deployment serves")
    yield platform
    platform.stop()
    platform.start()
    wait_until(lambda: serves(platform, tour), 60, "the deployment serves again")


def gateways(platform: Platform) -> list[psutil.Process]:
    return platform.services(_GATEWAY)


def serves(platform: Platform, endpoint: str) -> bool:
    try:
        return platform.score(endpoint, ROW).status_code == 200
    except (httpx2.TransportError, KeyError):
        return False


def applied(platform: Platform) -> list[tuple[int, int]]:
    """The pid of each gateway that has told of a snapshot, and that snapshot's revision."""
    files = sorted((platform.data_dir / "run").glob("gateway-*.applied"))
    return [(told["pid"], told["revision"]) for told in (json.loads(file.read_text()) for file in files)]


def set_share(platform: Platform, endpoint: str, percent: int) -> None:
    """Returns when every gateway has applied it."""
    (deployment, *_) = deployments_of(platform, endpoint)
    platform.cli("online-endpoint", "update", "-n", endpoint, "--traffic", f"{deployment['name']}={percent}")


def test_two_gateways_answer_and_one_that_dies_comes_back(twofold: Platform, tour: str) -> None:
    with Callers(twofold, tour, ROW, count=8).calling() as callers, ExitStack() as connected:
        before = {process.pid for process in gateways(twofold)}

        def each_has_a_caller() -> bool:
            # One gateway may have accepted all that came at the same moment.
            connected.enter_context(httpx2.Client()).get(f"{twofold.scoring_url}/{tour}/ping")
            return all(_served(pid) for pid in before)

        wait_until(each_has_a_caller, 30, "each has answered somebody")
        set_share(twofold, tour, 0)
        set_share(twofold, tour, 100)
        assert {pid for pid, _ in applied(twofold)} == before
        assert len({revision for _, revision in applied(twofold)}) == 1
    assert "200" in callers.answers

    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    (other,) = before - {victim}
    assert twofold.score(tour, ROW).status_code == 200
    wait_until(lambda: len({process.pid for process in gateways(twofold)} - {victim}) == 2, 30, "it is back")
    # Only when both have applied it is this over.
    set_share(twofold, tour, 100)
    told = {pid for pid, _ in applied(twofold)}
    assert other in told
    assert victim not in told


def _served(pid: int) -> bool:
    """Whether callers are connected to it."""
    return any(each.status == psutil.CONN_ESTABLISHED for each in psutil.Process(pid).net_connections("tcp"))
