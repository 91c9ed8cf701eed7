"""Requests and workers: queues, deadlines, deaths, and changes of the workers."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.data_plane.gateway.gateway_process import KEY, MIRROR, GatewayProcess, Reply, worker_route
from tests.data_plane.replicas.worker_harness import eventually, processor_seconds

# Writes the pid to the file that the input names, waits until the file is removed, and returns the pid.
HELD = """
    import os, time

    def init():
        pass

    def run(input_data, params=None):
        if input_data:
            with open(input_data, "w") as file:
                file.write(str(os.getpid()))
            while os.path.exists(input_data):
                time.sleep(0.005)
        return os.getpid()
"""

# Dies as often as there are letters in the file it is given.
DEADLY = """
    import os

    def init():
        pass

    def run(input_data, params=None):
        if input_data:
            with open(input_data) as file:
                lives = file.read()
            if lives:
                with open(input_data, "w") as file:
                    file.write(lives[1:])
                os._exit(9)
        return os.getpid()
"""


@pytest.fixture
def ask(gateway: GatewayProcess) -> Any:
    """Send a request in the background; the future holds the reply."""
    with ThreadPoolExecutor(64) as threads:
        yield lambda *args, **kwargs: threads.submit(gateway.score, *args, **kwargs)


Ask = Callable[..., "Future[Reply]"]
HEADERS = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}


def wait_for(file: Path) -> Path:
    eventually(lambda: holder(file))
    return file


def holder(file: Path) -> int | None:
    """Return the pid of the worker that waits for the removal of the file."""
    return int(file.read_text() or 0) if file.exists() else None


class TestDeadlines:
    def test_overdue_request_is_a_408_and_its_worker_gets_no_request_until_it_is_free(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        gateway.serve(HELD, instances=2, request_timeout_seconds=0.5)
        file = tmp_path / "held"
        late = ask(str(file))
        busy = holder(wait_for(file))
        assert (late.result().status, late.result().error["code"]) == (408, "RequestTimeout")
        assert busy not in _who_answers(ask)
        file.unlink()
        eventually(lambda: busy in _who_answers(ask))

    def test_request_that_waits_behind_an_overdue_request_is_a_408(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        gateway.serve(HELD, request_timeout_seconds=0.5)
        held = ask(str(tmp_path / "held"))
        wait_for(tmp_path / "held")
        behind = [ask("") for _ in range(3)]
        assert [future.result().status for future in [held, *behind]] == [408] * 4
        assert {future.result().headers.get("retry-after") for future in behind} == {None, "1"}
        (tmp_path / "held").unlink()
        eventually(lambda: gateway.score("").status == 200)


class TestBusyPolling:
    def test_gateway_sleeps_while_a_model_takes_long_after_quick_answers(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        gateway.serve(HELD)
        assert {gateway.score("").status for _ in range(100)} == {200}
        held = ask(str(tmp_path / "held"))
        wait_for(tmp_path / "held")
        before = processor_seconds(gateway.process.pid)
        time.sleep(1.0)
        assert processor_seconds(gateway.process.pid) - before <= 0.2
        (tmp_path / "held").unlink()
        assert held.result().status == 200


class TestLimits:
    def test_requests_beyond_twice_the_concurrency_are_a_429(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        gateway.serve(HELD, max_concurrent_requests_per_instance=1)
        held = ask(str(tmp_path / "held"))
        wait_for(tmp_path / "held")
        others = [ask("") for _ in range(3)]
        eventually(lambda: sum(future.done() for future in others) == 2)
        (tmp_path / "held").unlink()
        assert held.result().status == 200
        assert sorted(future.result().status for future in others) == [200, 429, 429]

    def test_a_request_that_waits_longer_than_allowed_is_a_429(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        gateway.serve(HELD, max_concurrent_requests_per_instance=1, max_queue_wait_seconds=1.0)
        held = ask(str(tmp_path / "held"))
        wait_for(tmp_path / "held")
        reply = gateway.score("")
        assert (reply.status, reply.error["code"]) == (429, "TooManyRequests")
        assert "max_queue_wait_ms" in reply.error["message"]
        assert reply.headers["retry-after"] == "1"
        (tmp_path / "held").unlink()
        assert held.result().status == 200

    def test_deployment_without_a_ready_worker_is_a_503_with_retry_after(self, gateway: GatewayProcess) -> None:
        route, _ = gateway.deployment(MIRROR, max_queue_wait_seconds=0.1)
        gateway.endpoint(replace(route, workers=()))
        gateway.publish()
        reply = gateway.score([1])
        assert (reply.status, reply.error["code"], reply.headers["retry-after"]) == (503, "NoReadyWorker", "1")
        health = gateway.request("GET", "/wines/")
        assert (health.status, health.headers["retry-after"]) == (503, "1")

    def test_request_waits_for_a_starting_worker(self, gateway: GatewayProcess, ask: Ask) -> None:
        route, _ = gateway.deployment(MIRROR)
        gateway.endpoint(replace(route, workers=()))
        gateway.publish()
        waiting = ask([1])
        gateway.endpoint(route)
        gateway.publish()
        assert waiting.result().status == 200


class TestDeaths:
    def test_request_of_a_dead_worker_is_scored_by_another_worker(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        gateway.serve(HELD, instances=2)
        file = tmp_path / "held"
        held = ask(str(file))
        first = holder(wait_for(file))
        assert first
        os.kill(first, signal.SIGKILL)
        second = eventually(lambda: holder(file) not in (None, 0, first) and holder(file))
        file.unlink()
        assert (held.result().status, held.result().json) == (200, second)

    def test_a_request_whose_worker_died_twice_is_a_424(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        gateway.serve(DEADLY, instances=3)
        (tmp_path / "lives").write_text("xx")
        reply = gateway.score(str(tmp_path / "lives"))
        assert (reply.status, reply.error["code"]) == (424, "WorkerDied")
        assert reply.headers["ms-azureml-model-error-statuscode"] == "500"
        assert gateway.score("").status == 200

    def test_request_survives_one_worker_death(self, gateway: GatewayProcess, tmp_path: Path) -> None:
        gateway.serve(DEADLY, instances=2)
        (tmp_path / "lives").write_text("x")
        assert gateway.score(str(tmp_path / "lives")).status == 200

    def test_requests_behind_a_deadly_request_are_not_blamed(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        gateway.serve(DEADLY, instances=3)
        (tmp_path / "lives").write_text("xx")
        asked = [ask(str(tmp_path / "lives")), *(ask("") for _ in range(20))]
        statuses = [future.result().status for future in asked]
        assert statuses == [424, *[200] * 20]

    def test_request_of_the_only_worker_is_scored_by_its_successor(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        (model_worker,) = gateway.serve(HELD)
        held = ask(str(tmp_path / "held"))
        wait_for(tmp_path / "held")
        behind = [ask("") for _ in range(5)]
        os.kill(model_worker.pid, signal.SIGKILL)
        (tmp_path / "held").unlink()
        successor, _ = gateway.deployment(HELD)
        gateway.endpoint(successor)
        gateway.publish()
        wait_for(tmp_path / "held").unlink()
        pids = {future.result().json for future in [held, *behind]}
        assert pids == {successor.workers[0].pid}


class TestChanges:
    def test_change_of_generation_loses_no_request(self, gateway: GatewayProcess) -> None:
        gateway.serve(MIRROR, instances=2)
        with _steady_requests(gateway) as statuses:
            for generation in range(4, 7):
                gateway.serve(MIRROR, instances=2, generation=generation)
        assert set(statuses) == {200}

    def test_change_of_workers_loses_no_request(self, gateway: GatewayProcess) -> None:
        model_workers = gateway.serve(MIRROR, instances=3)
        route = gateway.endpoints["wines"].deployments["blue"]
        with _steady_requests(gateway) as statuses:
            for count in (1, 3, 2, 1, 3):
                gateway.endpoint(replace(route, workers=tuple(map(worker_route, model_workers[-count:]))))
                gateway.publish()
        assert set(statuses) == {200}

    def test_unrouted_worker_ends_after_its_last_answer(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        (old,) = gateway.serve(HELD)
        host = gateway.harness.connect(old)
        held = ask(str(tmp_path / "held"))
        wait_for(tmp_path / "held")
        gateway.serve(HELD, generation=4)
        host.drain(20)
        assert gateway.score("").json != old.pid
        assert old.is_running()
        (tmp_path / "held").unlink()
        assert held.result().json == old.pid
        eventually(lambda: not old.is_running())

    def test_worker_of_another_generation_is_not_used(self, gateway: GatewayProcess) -> None:
        route, _ = gateway.deployment(MIRROR, generation=3)
        gateway.endpoint(replace(route, generation=4, request_timeout_seconds=0.2))
        gateway.publish()
        assert gateway.score([1]).status == 503
        assert "of generation 3" in gateway.log.read_text()


class TestRetirement:
    def test_queued_requests_are_scored_by_the_next_generation(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        (old,) = gateway.serve(HELD, max_concurrent_requests_per_instance=2)
        held = ask(str(tmp_path / "held"))
        wait_for(tmp_path / "held")
        behind = [ask("") for _ in range(3)]
        eventually(lambda: gateway.pending() == 4)
        (new,) = gateway.serve(HELD, generation=4)
        eventually(lambda: sum(future.done() for future in behind) == 2)
        assert {future.result().json for future in behind if future.done()} == {new.pid}
        (tmp_path / "held").unlink()
        assert {held.result().json, *(future.result().json for future in behind)} == {old.pid, new.pid}

    def test_requests_of_a_worker_that_dies_while_draining_go_to_the_successor(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        (old,) = gateway.serve(HELD)
        held = ask(str(tmp_path / "held"))
        wait_for(tmp_path / "held")
        behind = ask("")
        eventually(lambda: gateway.pending() == 2)
        (new,) = gateway.serve(HELD, generation=4)
        os.kill(old.pid, signal.SIGKILL)
        eventually(lambda: holder(tmp_path / "held") == new.pid)
        (tmp_path / "held").unlink()
        assert (held.result().json, behind.result().json) == (new.pid, new.pid)


class TestHangUps:
    def test_caller_that_hangs_up_leaves_the_queue(self, gateway: GatewayProcess, ask: Ask, tmp_path: Path) -> None:
        gateway.serve(HELD, max_concurrent_requests_per_instance=1)
        held = ask(str(tmp_path / "held"))
        wait_for(tmp_path / "held")
        impatient = gateway.connection()
        impatient.request("POST", "/wines/score", '{"input_data": ""}', HEADERS)
        eventually(lambda: _is_turned_away(ask))
        impatient.close()
        # Rejected with 429 while the queue is full; then the request waits in the queue.
        patient = eventually(lambda: _taken_in(ask))
        (tmp_path / "held").unlink()
        assert (held.result().status, patient.result().status) == (200, 200)

    def test_caller_that_hangs_up_during_scoring_affects_no_other_request(
        self, gateway: GatewayProcess, ask: Ask, tmp_path: Path
    ) -> None:
        (model_worker,) = gateway.serve(HELD)
        impatient = gateway.connection()
        impatient.request("POST", "/wines/score", json.dumps({"input_data": str(tmp_path / "held")}), HEADERS)
        wait_for(tmp_path / "held")
        impatient.close()
        behind = [ask("") for _ in range(3)]
        (tmp_path / "held").unlink()
        assert [future.result().json for future in behind] == [model_worker.pid] * 3


def _who_answers(ask: Ask) -> set[int]:
    asked = [ask("") for _ in range(16)]
    return {future.result().json for future in asked}


def _taken_in(ask: Ask) -> "Future[Reply] | None":
    """Return a request without an immediate 429."""
    asked = ask("")
    done, _ = wait([asked], timeout=0.2)
    return None if done else asked


def _is_turned_away(ask: Ask) -> bool:
    asked = _taken_in(ask)
    return asked is None


class _steady_requests:  # noqa: N801 - reads as a sentence after `with`
    """Send requests on several connections for the length of the block, and yield the statuses."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._statuses: list[int] = []
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]

    def _ask(self) -> None:
        while not self._enough.is_set():
            self._statuses.append(self._gateway.score([1]).status)

    def __enter__(self) -> list[int]:
        for thread in self._threads:
            thread.start()
        eventually(lambda: len(self._statuses) > 20)
        return self._statuses

    def __exit__(self, *_: object) -> None:
        before = len(self._statuses)
        eventually(lambda: len(self._statuses) > before + 20)
        self._enough.set()
        for thread in self._threads:
            thread.join()
