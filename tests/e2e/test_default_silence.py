"""With the default limits, a process that hangs is replaced within 15 s, and models answer meanwhile."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.conftest import temporary_folder
from tests.e2e.hung_processes import SERVICES, answers, is_healthy, postgres, stopped
from tests.e2e.platform import Platform, wait_until

pytestmark = pytest.mark.long

HEALS_SECONDS = 15
ROW = {"input_data": [[1.0, 0.5, 1]]}


class Caller:
    """Scores twice a second, and notes each failure."""

    def __init__(self, platform: Platform, endpoint: str) -> None:
        self._platform, self._endpoint = platform, endpoint
        self._key = platform.key(endpoint)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._call)
        self.scored = 0
        self.failures: list[str] = []

    def __enter__(self) -> "Caller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _call(self) -> None:
        while not self._stop.wait(0.5):
            try:
                response = self._platform.score(self._endpoint, ROW, key=self._key)
            except httpx2.TransportError as error:
                self.failures.append(repr(error))
                continue
            self.scored += 1
            if response.status_code != 200:
                self.failures.append(f"{response.status_code} {response.text}")


@pytest.fixture(scope="module")
def served(sklearn_folder: Path) -> Iterator[Platform]:
    with temporary_folder() as folder:
        platform = Platform(folder)
        platform.start("--builders", "1", "--batch-workers", "1")
        try:
            platform.cli("deploy", sklearn_folder, "--endpoint-name", "tour")
            wait_until(lambda: is_healthy(platform), 60, "every process beats")
            yield platform
        finally:
            platform.stop()


@pytest.mark.parametrize("service", SERVICES)
def test_stopped_process_is_replaced_within_15_seconds_while_models_answer(served: Platform, service: str):
    victim = served.process(*SERVICES[service])
    with Caller(served, "tour") as caller, stopped(victim.pid):
        started = time.monotonic()
        wait_until(lambda: not victim.is_running(), HEALS_SECONDS, f"the stopped {service} is gone")
        wait_until(lambda: served.services(*SERVICES[service]), 5, f"{service} is back")
        if service in ("gateway", "control plane"):
            wait_until(lambda: answers(served), 5, f"{service} answers")
        healed = time.monotonic() - started
    print(f"{service} healed after {healed:.1f} s; {caller.scored} requests scored, failed: {caller.failures}")
    assert healed < HEALS_SECONDS
    if service != "gateway":
        assert caller.failures == []
    wait_until(lambda: is_healthy(served), 60, "the platform is healthy")


def test_hung_postgres_is_killed_and_recovers_while_models_answer(served: Platform):
    before = postgres(served)
    with Caller(served, "tour") as caller, stopped(*before):
        wait_until(lambda: not any(map(psutil.pid_exists, before)), 45, "the hung Postgres is gone")
        wait_until(lambda: answers(served), 15, "the platform answers")
    assert caller.failures == []
