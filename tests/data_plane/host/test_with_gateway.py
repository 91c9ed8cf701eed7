"""Host, gateway and guests together: no request is lost while workers come and go."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from sqlalchemy import update

from modelyard.core.db.rows import OnlineEndpointRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.lifecycle import ProvisioningState
from tests.data_plane.guests.yard import PATIENCE, eventually
from tests.data_plane.host.host_yard import ENVIRONMENT, HostYard, answering

SUCCEEDED = ProvisioningState.SUCCEEDED
KEY = "a key"


@pytest.fixture
def port(yard: HostYard, sessions: Sessions) -> Iterator[int]:
    """A real gateway in the place of the attentive thread, before a model environment with numpy."""
    yard.gateway.end()
    _give_packages(yard.data_dir.environments / ENVIRONMENT)
    with transaction(sessions) as work:
        digest = hashlib.sha256(KEY.encode()).hexdigest()
        work.session.execute(update(OnlineEndpointRow).values(primary_key_digest=digest, traffic={"blue": 100}))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "data_plane.gateway.main", "--index", "0"]
        command += ["--data-dir", str(yard.data_dir.root), "--fd", str(listener.fileno())]
        with (yard.data_dir.logs / "gateway.log").open("wb") as log:
            gateway = subprocess.Popen(command, pass_fds=[listener.fileno()], stdout=log, stderr=log)
        yield listener.getsockname()[1]
        gateway.terminate()
        gateway.wait(PATIENCE)


def _give_packages(environment: Path) -> None:
    """Those of the tests' own environment."""
    own = Path(sys.prefix)
    shutil.copy(own / "pyvenv.cfg", environment / "pyvenv.cfg")
    (environment / "lib").symlink_to(own / "lib")


def _score(connection: HTTPConnection) -> str:
    """Status and answer."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    connection.request("POST", "/wines/score", json.dumps({"input_data": [1]}), headers)
    response = connection.getresponse()
    return f"{response.status} {response.read().decode()}"


class Callers:
    """Score without a pause until told to end, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.answers: Counter[str] = Counter()
        self._port = port
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(3)]

    def _call(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        while not self._over.is_set():
            self.answers[_score(connection)] += 1
        connection.close()

    @contextmanager
    def calling(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            eventually(lambda: self.answers)
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()


def test_an_update_loses_no_request(yard, port):
    yard.deploy(answering("old"))
    yard.start_host()
    yard.eventually_is(SUCCEEDED, serving=1)
    callers = Callers(port)
    with callers.calling():
        yard.deploy(answering("new"))
        yard.eventually_is(SUCCEEDED, serving=2)
        eventually(lambda: len(yard.guests()) == 1)
    assert set(callers.answers) == {'200 "old"', '200 "new"'}


def test_scaling_and_a_restarted_host_lose_no_request(yard, port):
    yard.deploy(answering("hello"), instances=2)
    yard.start_host()
    yard.eventually_is(SUCCEEDED)
    callers = Callers(port)
    with callers.calling():
        yard.kill_host()
        yard.start_host()
        yard.scale(1)
        yard.eventually_is(SUCCEEDED)
        yard.scale(2)
        yard.eventually_is(SUCCEEDED)
    assert set(callers.answers) == {'200 "hello"'}


def test_the_death_of_one_worker_of_two_loses_no_request(yard, port):
    yard.deploy(answering("hello"), instances=2)
    yard.start_host()
    yard.eventually_is(SUCCEEDED)
    callers = Callers(port)
    with callers.calling():
        victim = min(yard.routed())
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(yard.routed()) == 2 and victim not in yard.routed())
    assert set(callers.answers) == {'200 "hello"'}


def test_a_gateway_answers_503_not_404_while_no_worker_is_ready(yard, port):
    yard.deploy(answering("hello"), timeout=0.5)
    yard.start_host()
    yard.eventually_is(SUCCEEDED)
    yard.stop_host()
    eventually(lambda: _is_applied(yard))
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    assert _score(connection).startswith("503 ")
    connection.close()


def _is_applied(yard: HostYard) -> bool:
    snapshot = yard.gateway.snapshot()
    report = json.loads((yard.data_dir.run / "gateway-0.applied").read_text())
    return snapshot is not None and snapshot.order == (report["revision"], report["sequence"])
