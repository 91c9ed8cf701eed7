"""A process that hangs is as bad as a dead one: each is noticed by its silence, and replaced or answered for."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.conftest import temporary_folder
from tests.e2e.hung_processes import SERVICES, answers, health, is_healthy, postgres, stopped
from tests.e2e.platform import Platform, wait_until

SILENCE_SECONDS = 3
DATABASE_SILENCE_SECONDS = 10
HEALS_SECONDS = 15


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with temporary_folder() as folder:
        platform = Platform(
            folder,
            MODELYARD_SUPERVISOR_SILENCE_SECONDS=str(SILENCE_SECONDS),
            MODELYARD_SUPERVISOR_DATABASE_SILENCE_SECONDS=str(DATABASE_SILENCE_SECONDS),
        )
        platform.start("--builders", "1", "--batch-workers", "1")
        try:
            wait_until(lambda: is_healthy(platform), 60, "every process beats")
            yield platform
        finally:
            platform.stop()


@pytest.mark.parametrize("service", SERVICES)
def test_stopped_process_is_replaced_and_the_platform_answers(platform: Platform, service: str):
    victim = platform.process(*SERVICES[service])
    with stopped(victim.pid):
        wait_until(lambda: not victim.is_running(), HEALS_SECONDS, f"the stopped {service} is gone")
        wait_until(lambda: platform.services(*SERVICES[service]), HEALS_SECONDS, f"{service} is back")
    wait_until(lambda: answers(platform), 30, "the platform answers")
    wait_until(lambda: is_healthy(platform), 60, "the platform is healthy")


def test_hung_postgres_gives_503_in_time_and_is_killed_and_recovers(platform: Platform):
    def ask(_: int) -> tuple[int, float, str | None]:
        started = time.monotonic()
        response = platform.rest("GET", "/onlineEndpoints")
        return response.status_code, time.monotonic() - started, response.headers.get("Retry-After")

    before = postgres(platform)
    with ThreadPoolExecutor(60) as clients, stopped(*before):
        asked = list(clients.map(ask, range(60)))
        assert {status for status, _, _ in asked} == {503}
        assert {retry for _, _, retry in asked} == {"2"}
        assert max(seconds for _, seconds, _ in asked) < 5
        assert ask(0)[:1] == (503,)
        state = health(platform)
        assert state["status"] == "degraded"
        assert [each["name"] for each in state["unavailable"]] == ["database"]
        status = platform.cli("status", check=False)
        assert status.returncode != 0
        assert "database" in status.stderr
        assert httpx2.get(f"{platform.scoring_url}/", timeout=2).status_code == 200
        wait_until(lambda: not is_healthy(platform), 10, "run/healthy tells that the platform is not healthy")
        wait_until(lambda: not any(map(psutil.pid_exists, before)), 25, "the hung Postgres is gone")
    wait_until(lambda: answers(platform), 15, "the platform answers")
    assert health(platform) == {"status": "healthy", "unavailable": []}
    wait_until(lambda: is_healthy(platform), 60, "the platform is healthy")


def test_postgres_that_goes_on_serves_the_next_request(platform: Platform):
    with stopped(*postgres(platform)):
        wait_until(lambda: health(platform)["status"] == "degraded", 6, "the hang is noticed")
    wait_until(lambda: answers(platform), 5, "requests are served again")


def test_supervisor_that_was_stopped_kills_no_process(platform: Platform):
    before = {process.pid for process in platform.processes()}
    with stopped(platform.facts["pid"]):
        time.sleep(SILENCE_SECONDS * 2)
    time.sleep(1.5)
    assert {process.pid for process in platform.processes()} == before
    assert is_healthy(platform)


@pytest.mark.long
def test_builder_at_work_for_longer_than_the_limit_of_silence_is_left_alone(platform: Platform, sklearn_folder: Path):
    builder = platform.process(*SERVICES["builder"])
    before = platform.log.read_text()
    started = time.monotonic()
    platform.cli("deploy", sklearn_folder, "--endpoint-name", "tour")
    assert time.monotonic() - started > SILENCE_SECONDS
    assert platform.log.read_text() == before
    assert builder.is_running()
