"""A hostile model, deployed and scored through the public surface: each request is an attack on the whole platform."""

import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.e2e.hostile_model import facts_of, run, save_attacker
from tests.e2e.platform import Platform, wait_until
from tests.security.attacks import ALLOWED_WITH_AN_ACCOUNT, ATTACKS, USES


@pytest.fixture(scope="module")
def attacker(platform: Platform, tour: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = save_attacker(tmp_path_factory.mktemp("hostile") / "hostile")
    platform.cli("deploy", folder, "--endpoint-name", "hostile")
    yield "hostile"
    platform.cli("online-endpoint", "delete", "-n", "hostile", "--yes", check=False)


@pytest.fixture(scope="module")
def facts(platform: Platform, attacker: str, tour: str) -> dict[str, Any]:
    return facts_of(platform, attacker, tour)


@pytest.mark.skipif(os.getuid() != 0, reason="an ordinary user's platform is attacked in tests/security")
def test_every_attack_is_refused_and_others_are_served(platform: Platform, tour: str, facts: dict[str, Any]) -> None:
    before = {process.pid for process in platform.processes()}
    succeeded = {name: outcome for name in ATTACKS if (outcome := run(platform, name, facts))["succeeded"]}
    assert set(succeeded) <= ALLOWED_WITH_AN_ACCOUNT, succeeded
    assert platform.score(tour, {"input_data": [[1.0, 2.0, 3]]}).status_code == 200
    assert {process.pid for process in platform.processes()} == before


def test_the_model_may_do_what_models_do(platform: Platform, facts: dict[str, Any]) -> None:
    refused = {name: outcome for name in USES if not (outcome := run(platform, name, facts))["succeeded"]}
    assert not refused


@pytest.mark.skipif(os.getuid() != 0, reason="the account is root's to give")
def test_status_and_resource_name_the_protections(platform: Platform, attacker: str) -> None:
    (deployment,) = platform.list("/onlineEndpoints/hostile/deployments")
    assert {"account", "files", "system-calls", "network"} <= set(deployment["properties"]["protections"])
    assert "account, limits, files" in platform.cli("status", "-o", "table").stdout
    assert "sandbox        full" in platform.log.read_text()


def test_daemon_ends_with_the_endpoint(platform: Platform, facts: dict[str, Any]) -> None:
    daemon = psutil.Process(run(platform, "daemon", facts)["evidence"])
    assert daemon.is_running()
    platform.cli("online-endpoint", "delete", "-n", "hostile", "--yes")
    wait_until(lambda: not daemon.is_running(), 10, "the daemon has ended")
