"""Mirrored traffic: a share of the requests also reaches the mirror, without an effect on callers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.data_plane.gateway.gateway_process import GatewayProcess, Reply
from tests.data_plane.replicas.worker_harness import eventually

ANSWERS = """
    def init():
        pass

    def run(input_data, params=None):
        return "live"
"""

# Writes each request to a line of a file, and waits while a hold exists.
NOTES = """
    import os, time

    def init():
        pass

    def run(input_data, params=None):
        with open(os.environ["NOTES"], "a") as file:
            file.write(input_data + "\\n")
        while os.path.exists(os.environ["NOTES"] + ".held"):
            time.sleep(0.005)
        if input_data == "raise":
            raise ValueError("the mirror does not like it")
        if input_data == "die":
            os._exit(9)
        return "mirrored"
"""
_REQUESTS = 200


class Shadow:
    """The deployment that gets the copies, and the received requests."""

    def __init__(self, gateway: GatewayProcess, notes: Path, percent: int) -> None:
        self._gateway = gateway
        self._notes = notes
        self.held = notes.with_name(f"{notes.name}.held")
        live, _ = gateway.deployment(ANSWERS)
        shadow, _ = gateway.deployment(NOTES.replace('os.environ["NOTES"]', repr(str(notes))), name="shadow")
        gateway.endpoint(live, shadow, mirror_traffic={"shadow": percent})
        gateway.publish()

    def seen(self) -> list[str]:
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    def copies(self) -> list[str]:
        """Return the copies after all waiting copies were scored: a request to the shadow by name comes last."""
        reply = self._gateway.score("after", headers={"azureml-model-deployment": "shadow"})
        assert reply.json == "mirrored"
        return [line for line in self.seen() if line != "after"]


@pytest.fixture
def shadow(gateway: GatewayProcess, tmp_path: Path) -> Shadow:
    return Shadow(gateway, tmp_path / "notes", percent=50)


def ask(gateway: GatewayProcess, *inputs: Any, **more: Any) -> list[Reply]:
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda data: gateway.score(data, **more), inputs))


def test_mirror_gets_its_percentage_of_the_requests(gateway: GatewayProcess, shadow: Shadow) -> None:
    replies = ask(gateway, *map(str, range(_REQUESTS)))
    assert {(reply.status, reply.json, reply.headers["azureml-model-deployment"]) for reply in replies} == {
        (200, "live", "blue")
    }
    copies = shadow.copies()
    # Ten standard deviations of a fair coin on each side.
    assert 30 <= len(copies) <= 170
    assert len(set(copies)) == len(copies)


def test_requests_that_name_their_deployment_are_not_copied(gateway: GatewayProcess, shadow: Shadow) -> None:
    replies = ask(gateway, *map(str, range(40)), headers={"azureml-model-deployment": "blue"})
    assert {reply.json for reply in replies} == {"live"}
    assert shadow.copies() == []


@pytest.mark.parametrize("fate", ["raise", "die"])
def test_failing_mirror_does_not_affect_callers(gateway: GatewayProcess, shadow: Shadow, fate: str) -> None:
    replies = ask(gateway, *([fate] * 40))
    assert {(reply.status, reply.json) for reply in replies} == {(200, "live")}
    eventually(shadow.seen)


def test_silent_mirror_delays_no_caller(gateway: GatewayProcess, shadow: Shadow) -> None:
    shadow.held.touch()
    replies = ask(gateway, *map(str, range(40)))
    assert {(reply.status, reply.json) for reply in replies} == {(200, "live")}
    eventually(shadow.seen)
    # It still works on the first copy, or waits for it, while the callers have long been answered.
    assert len(shadow.seen()) == 1
    shadow.held.unlink()


def test_mirror_without_workers_does_not_affect_callers(gateway: GatewayProcess, shadow: Shadow) -> None:
    route = gateway.endpoints["wines"]
    live, _ = route.deployments.values()
    idle, _ = gateway.deployment(NOTES, name="idle", instances=0)
    gateway.endpoint(live, idle, mirror_traffic={"idle": 50})
    gateway.publish()
    assert {reply.json for reply in ask(gateway, *map(str, range(20)))} == {"live"}


def test_no_request_is_copied_after_mirror_traffic_is_removed(gateway: GatewayProcess, shadow: Shadow) -> None:
    gateway.endpoint(*gateway.endpoints["wines"].deployments.values(), mirror_traffic={})
    gateway.publish()
    ask(gateway, *map(str, range(40)))
    assert shadow.copies() == []
