"""A hostile model, deployed and scored through the public surface: each request is an attack on the whole platform."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.models import save_loader
from tests.e2e.platform import Platform, wait_until
from tests.security.attacks import ATTACKS, USES

SOURCE = Path(__file__).parents[1] / "security" / "attacks.py"
MODEL = """

class Model:
    def predict(self, model_input, params=None):
        return [attack(model_input.iloc[0, 0])]

def _load_pyfunc(path):
    return Model()
"""
# A user of the deployment's own may do these, to itself alone.
ALLOWED_WITH_AN_ACCOUNT = {"open a System V segment", "open a message queue", "make all processes of the user wait"}


@pytest.fixture(scope="module")
def attacker(platform: Platform, tour: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = save_loader(tmp_path_factory.mktemp("hostile") / "hostile", SOURCE.read_text() + MODEL)
    platform.cli("deploy", folder, "--endpoint-name", "hostile")
    yield "hostile"
    platform.cli("online-endpoint", "delete", "-n", "hostile", "--yes", check=False)


@pytest.fixture(scope="module")
def facts(platform: Platform, attacker: str, tour: str) -> dict[str, Any]:
    (own,), (sibling,) = platform.workers_of(attacker), platform.workers_of(tour)
    data = platform.data_dir
    sockets = [path for path in data.rglob("*") if path.is_socket()]
    ports = [int(url.rpartition(":")[2]) for url in (platform.url, platform.scoring_url)]
    configuration = json.loads((Path(sibling["folder"]) / "worker.json").read_text())
    return {
        "data_dir": str(data),
        "secrets": str(data / "secrets"),
        "home": os.path.expanduser("~root"),
        "user": os.getuid(),
        "host": platform.process("data_plane.host").pid,
        "sibling": sibling["process"]["pid"],
        "sibling_folder": sibling["folder"],
        "sibling_bundle": configuration["bundle_dir"],
        "sibling_model": configuration["model_dir"],
        "sibling_socket": sibling["socket"],
        "own_model": str(data / "models"),
        "own_bundle": str(data / "bundles"),
        "own_log": own["log"],
        "own_socket": own["socket"],
        "postgres": str(next((path for path in sockets if ".s.PGSQL" in path.name), data / "run" / "pg")),
        "valkey": str(next((path for path in sockets if "valkey" in str(path)), data / "run" / "valkey")),
        "abstract": "modelyard",
        "datagram": sibling["socket"],
        "shared_file": "/dev/shm/nothing",
        "control_port": ports[0],
        "scoring_port": ports[1],
        "system_v": 0x6D790002,
    }


def run(platform: Platform, name: str, facts: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps({"name": name, "facts": facts})
    answer = platform.score("hostile", {"input_data": {"columns": ["attack"], "data": [[text]]}})
    assert answer.status_code == 200, answer.text
    (result,) = answer.json()
    outcome: dict[str, Any] = json.loads(result)
    return outcome


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
