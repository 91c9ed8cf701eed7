"""Mirrored traffic: a share of the requests reaches one more deployment, and no caller notices."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.data_plane.gateway.gateway_process import FrontDoor, Reply
from tests.data_plane.replicas.worker_harness import eventually

ANSWERS = """
    def init():
        pass

    def run(input_data, params=None):
        return "live"
"""

# Notes what it was given, one request a line, and goes on when nothing holds it.
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
    """The deployment that gets the copies, and what it has noted."""

    def __init__(self, door: FrontDoor, notes: Path, percent: int) -> None:
        self._door = door
        self._notes = notes
        self.held = notes.with_name(f"{notes.name}.held")
        live, _ = door.deployment(ANSWERS)
        shadow, _ = door.deployment(NOTES.replace('os.environ["NOTES"]', repr(str(notes))), name="shadow")
        door.endpoint(live, shadow, mirror_traffic={"shadow": percent})
        door.publish()

    def seen(self) -> list[str]:
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    def copies(self) -> list[str]:
        """Once those that wait have been scored: what asks the shadow by its name comes after them."""
        reply = self._door.score("after", headers={"azureml-model-deployment": "shadow"})
        assert reply.json == "mirrored"
        return [line for line in self.seen() if line != "after"]


@pytest.fixture
def shadow(door: FrontDoor, tmp_path: Path) -> Shadow:
    return Shadow(door, tmp_path / "notes", percent=50)


def ask(door: FrontDoor, *inputs: Any, **more: Any) -> list[Reply]:
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda data: door.score(data, **more), inputs))


def test_mirror_gets_its_percentage_of_the_requests(door: FrontDoor, shadow: Shadow) -> None:
    replies = ask(door, *map(str, range(_REQUESTS)))
    assert {(reply.status, reply.json, reply.headers["azureml-model-deployment"]) for reply in replies} == {
        (200, "live", "blue")
    }
    copies = shadow.copies()
    # Ten standard deviations of a fair coin on each side.
    assert 30 <= len(copies) <= 170
    assert len(set(copies)) == len(copies)


def test_requests_that_name_their_deployment_are_not_copied(door: FrontDoor, shadow: Shadow) -> None:
    replies = ask(door, *map(str, range(40)), headers={"azureml-model-deployment": "blue"})
    assert {reply.json for reply in replies} == {"live"}
    assert shadow.copies() == []


@pytest.mark.parametrize("fate", ["raise", "die"])
def test_failing_mirror_does_not_affect_callers(door: FrontDoor, shadow: Shadow, fate: str) -> None:
    replies = ask(door, *([fate] * 40))
    assert {(reply.status, reply.json) for reply in replies} == {(200, "live")}
    eventually(shadow.seen)


def test_silent_mirror_delays_no_caller(door: FrontDoor, shadow: Shadow) -> None:
    shadow.held.touch()
    replies = ask(door, *map(str, range(40)))
    assert {(reply.status, reply.json) for reply in replies} == {(200, "live")}
    eventually(shadow.seen)
    # It still works on the first copy, or waits for it, while the callers have long been answered.
    assert len(shadow.seen()) == 1
    shadow.held.unlink()


def test_mirror_without_workers_does_not_affect_callers(door: FrontDoor, shadow: Shadow) -> None:
    route = door.endpoints["wines"]
    live, _ = route.deployments.values()
    idle, _ = door.deployment(NOTES, name="idle", instances=0)
    door.endpoint(live, idle, mirror_traffic={"idle": 50})
    door.publish()
    assert {reply.json for reply in ask(door, *map(str, range(20)))} == {"live"}


def test_no_request_is_copied_after_mirror_traffic_is_removed(door: FrontDoor, shadow: Shadow) -> None:
    door.endpoint(*door.endpoints["wines"].deployments.values(), mirror_traffic={})
    door.publish()
    ask(door, *map(str, range(40)))
    assert shadow.copies() == []
