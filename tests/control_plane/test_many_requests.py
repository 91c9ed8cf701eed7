"""Many changes at the same time, against a control plane process: each ends in a final state, and none gets a 5xx."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import Engine, select

from modelyard.core.db import lifecycle
from modelyard.core.db.rows import GenerationRow, RoutingRow
from modelyard.core.db.unit_of_work import Sessions, sessions_of, transaction
from modelyard.core.domain.caller import SYSTEM_BUILDER, SYSTEM_HOST
from modelyard.core.domain.lifecycle import GenerationState
from tests.control_plane.control import MLMODEL, TLS, TOKEN, WORKSPACE, anonymous
from tests.control_plane.test_process import Process

_PATIENCE = 600.0
_FINAL = {"Succeeded", "Failed", "Canceled"}


class BuilderAndHost:
    """Ends every change that waits: each second build fails, and gateways apply every revision."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.05):
            with transaction(self._sessions) as work:
                queued = select(GenerationRow).where(GenerationRow.state == GenerationState.QUEUED)
                for row in work.session.scalars(queued.order_by(GenerationRow.id)).all():
                    if row.id % 2:
                        lifecycle.generation_failed(
                            work.session, SYSTEM_BUILDER, row.id, code="BuildFailed", message="no"
                        )
                    else:
                        row.state, row.bundle_hash = GenerationState.BUILT, "b" * 64
                        work.session.flush()
                        lifecycle.generation_ready(work.session, SYSTEM_HOST, row.id)
            with transaction(self._sessions) as work:
                lifecycle.record_applied(
                    work.session, SYSTEM_HOST, work.session.scalars(select(RoutingRow.desired)).one()
                )


class User:
    """A client that sends a request again as the header Retry-After of a 429 tells."""

    def __init__(self, url: str, statuses: Counter[int]) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        self._http = httpx2.Client(base_url=f"{url}{WORKSPACE}", headers=headers, timeout=_PATIENCE, verify=TLS)
        self._statuses = statuses
        self._deadline = time.monotonic() + _PATIENCE

    def put(self, path: str, body: object) -> str:
        """Returns the final state of the resource."""
        answer = self._ask("PUT", path, body)
        assert answer.status_code in (200, 201), answer.text
        while True:
            state = str(self._ask("GET", path).json()["properties"]["provisioningState"])
            if state in _FINAL:
                return state
            assert time.monotonic() < self._deadline, f"{path} is {state}"
            time.sleep(1.0)

    def _ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        while True:
            answer = self._http.request(method, path, json=body)
            self._statuses[answer.status_code] += 1
            if answer.status_code != 429:
                return answer
            assert time.monotonic() < self._deadline
            time.sleep(int(answer.headers["Retry-After"]))

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def start(
    own_engine: Engine, tmp_path: Path, database_url: str, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], Process]]:
    """Starts a control plane that takes so many requests at a time."""
    started: list[Process] = []

    def start(requests: int) -> Process:
        monkeypatch.setenv("MODELYARD_CONTROL_PLANE_PENDING_REQUESTS", str(requests))
        for wait in ("DATABASE", "STATEMENT", "REQUEST"):
            # On a loaded machine everything takes long.
            monkeypatch.setenv(f"MODELYARD_CONTROL_PLANE_{wait}_SECONDS", str(_PATIENCE))
        started.append(Process(own_engine, tmp_path, database_url, broker_url))
        return started[0]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def builder_and_host(own_engine: Engine) -> Iterator[BuilderAndHost]:
    played = BuilderAndHost(sessions_of(own_engine))
    yield played
    played.stop()


def register(process: Process) -> str:
    """Returns the model's id."""
    upload = process.start_upload()
    for path, content in {"MLmodel": MLMODEL, "model.pkl": b"weights"}.items():
        assert anonymous.put(upload.url(f"model/{path}"), content=content).status_code == 201
    body = {"properties": {"modelType": "mlflow_model", "modelUri": f"{upload.uri}/model"}}
    return str(process.ask("PUT", "/models/m/versions/1", body).json()["id"])


def put_all(process: Process, model: str, users: int) -> tuple[Counter[str], Counter[int]]:
    """Create an endpoint with a deployment for each user, all at once. Returns the final states and the statuses."""
    statuses: Counter[int] = Counter()
    barrier = threading.Barrier(users)

    def create(number: int) -> list[str]:
        path = f"/onlineEndpoints/ep-{number}"
        with closing(User(process.url, statuses)) as user:
            barrier.wait()
            endpoint = user.put(path, {"location": "local", "properties": {"authMode": "Key"}})
            deployment = user.put(f"{path}/deployments/blue", {"properties": {"model": model}})
        return [f"endpoint {endpoint}", f"deployment {deployment}"]

    with ThreadPoolExecutor(users) as pool:
        states = Counter(state for found in pool.map(create, range(users)) for state in found)
    return states, statuses


def check(users: int, states: Counter[str], statuses: Counter[int]) -> None:
    assert states["endpoint Succeeded"] == users, states
    assert states["deployment Succeeded"] + states["deployment Failed"] == users, states
    assert set(statuses) <= {200, 201, 429}, statuses


@pytest.mark.usefixtures("builder_and_host")
class TestConcurrentPuts:
    def test_sixty_concurrent_puts_end_in_final_states(self, start):
        process = start(128)
        check(60, *put_all(process, register(process), 60))

    def test_refused_requests_succeed_when_sent_again(self, start):
        process = start(4)
        states, statuses = put_all(process, register(process), 30)
        check(30, states, statuses)
        assert statuses[429] > 0

    @pytest.mark.long
    def test_three_hundred_concurrent_puts_end_in_final_states(self, start):
        process = start(128)
        check(300, *put_all(process, register(process), 300))
