"""Changes of a deployment under continuous requests: no request fails."""

import os
import random
import signal

import pytest

from tests.e2e.load import Callers
from tests.e2e.platform import Platform, wait_until
from tests.e2e.test_operation import ROW, deployments_of, settled

_ENDPOINT = "busy"
_SETTLING_SECONDS = 120.0
# The pause before the next start of a worker grows to a minute with the number of deaths.
_MANY = (pytest.mark.long, pytest.mark.timeout(1500))


class Busy:
    """An endpoint that the tests change through the REST API."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.path = f"/onlineEndpoints/{_ENDPOINT}"
        (first, *_) = deployments_of(platform, _ENDPOINT)
        self.blue = f"{self.path}/deployments/{first['name']}"
        self.name = first["name"]

    def change(self, path: str, method: str = "PUT", **body: object) -> None:
        answer = self.platform.rest(method, path, body)
        assert answer.status_code < 300, answer.text
        after = settled(self.platform, path)
        assert after["properties"]["provisioningState"] == "Succeeded", after

    def update(self, **properties: object) -> None:
        """Start a new generation with the given properties."""
        present = self.platform.rest("GET", self.blue).json()
        self.change(self.blue, **{**present, "properties": {**present["properties"], **properties}})

    def scale(self, instances: int) -> None:
        if self.platform.rest("GET", self.blue).json()["sku"]["capacity"] != instances:
            self.change(self.blue, "PATCH", sku={"name": "Default", "capacity": instances})
        self.wait_for(instances)

    def wait_for(self, workers: int) -> None:
        wait_until(lambda: len(self.ready()) == workers, _SETTLING_SECONDS, f"{workers} ready workers")

    def ready(self) -> set[int]:
        workers = self.platform.list(f"{self.blue}/workers")
        return {worker["pid"] for worker in workers if worker["state"] == "Ready"}

    def callers(self, **more: int) -> Callers:
        return Callers(self.platform, _ENDPOINT, ROW, **more)


@pytest.fixture(scope="module")
def busy(platform: Platform, light_folder) -> Busy:
    platform.cli("deploy", light_folder, "--endpoint-name", _ENDPOINT)
    return Busy(platform)


@pytest.fixture
def seed() -> int:
    """A random seed, printed when the test fails; MODELYARD_TEST_SEED repeats a run."""
    seed = int(os.environ.get("MODELYARD_TEST_SEED", random.randrange(2**32)))
    print(f"MODELYARD_TEST_SEED={seed}")
    return seed


def test_update_and_scaling_fail_no_request(busy: Busy) -> None:
    with busy.callers().calling() as callers:
        busy.scale(2)
        callers.see_more()
        busy.update(environmentVariables={"COLOUR": "green"})
        callers.see_more()
        busy.scale(1)
    assert set(callers.answers) == {"200"}


def test_change_of_the_traffic_split_fails_no_request(busy: Busy) -> None:
    blue = busy.platform.rest("GET", busy.blue).json()
    green = f"{busy.path}/deployments/green"
    with busy.callers().calling() as callers:
        busy.change(green, location=blue["location"], sku=blue["sku"], properties=blue["properties"])
        endpoint = busy.platform.rest("GET", busy.path).json()
        for traffic in ({busy.name: 50, "green": 50}, {"green": 100}, {busy.name: 100}):
            properties = {**endpoint["properties"], "traffic": traffic}
            busy.change(busy.path, **{**endpoint, "properties": properties})
            callers.see_more()
        assert busy.platform.rest("DELETE", green).status_code < 300
        wait_until(lambda: busy.platform.rest("GET", green).status_code == 404, 60, "green is deleted")
    assert set(callers.answers) == {"200"}


def test_restart_of_a_gateway_fails_no_request(busy: Busy) -> None:
    with busy.callers().calling() as callers:
        old = busy.platform.process("data_plane.gateway.main")
        old.send_signal(signal.SIGTERM)
        old.wait(30)
        callers.see_more()
    assert set(callers.answers) == {"200"}


def kill_again_and_again(busy: Busy, callers: Callers, instances: int, times: int, seed: int) -> None:
    """Kill one random worker at a time, each when the last replacement is ready."""
    chance = random.Random(seed)
    for _ in range(times):
        workers = busy.ready()
        victim = chance.choice(sorted(workers))
        os.kill(victim, signal.SIGKILL)
        wait_until(
            lambda victim=victim: len(busy.ready() - {victim}) == instances, _SETTLING_SECONDS, "the worker is replaced"
        )
        callers.see_more()


@pytest.mark.parametrize("times", [2, pytest.param(25, marks=_MANY)])
def test_death_of_one_of_three_workers_fails_no_request(busy: Busy, seed: int, times: int) -> None:
    busy.scale(3)
    with busy.callers().calling() as callers:
        kill_again_and_again(busy, callers, 3, times, seed)
    assert set(callers.answers) == {"200"}


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=_MANY)])
def test_death_of_the_only_worker_is_answered_with_retry_after(busy: Busy, seed: int, times: int) -> None:
    busy.scale(1)
    with busy.callers().calling() as callers:
        kill_again_and_again(busy, callers, 1, times, seed)
    assert {answer[:3] for answer in callers.answers} <= {"200", "503", "408"}, callers.answers
    refused = {answer[:3]: count for answer, count in callers.answers.items() if not answer.startswith("200")}
    assert sum(callers.retry_after.values()) == sum(refused.values()), callers.answers
