"""Host, gateway and workers together: no request is lost while workers come and go."""

import json
import os
import signal
from http.client import HTTPConnection

import pytest

from modelyard.core.domain.lifecycle import ProvisioningState
from tests.data_plane.host.callers import Callers, score
from tests.data_plane.host.host_harness import HostHarness, answering
from tests.data_plane.replicas.worker_harness import PATIENCE, eventually

SUCCEEDED = ProvisioningState.SUCCEEDED


def test_update_loses_no_request(harness, port):
    harness.deploy(answering("old"))
    harness.start_host()
    harness.eventually_is(SUCCEEDED, serving=1)
    callers = Callers(port)
    with callers.calling():
        harness.deploy(answering("new"))
        harness.eventually_is(SUCCEEDED, serving=2)
        eventually(lambda: len(harness.workers()) == 1)
    assert set(callers.answers) == {'200 "old"', '200 "new"'}


def test_scaling_and_a_restarted_host_lose_no_request(harness, port):
    harness.deploy(answering("hello"), instances=2)
    harness.start_host()
    harness.eventually_is(SUCCEEDED)
    callers = Callers(port)
    with callers.calling():
        harness.kill_host()
        harness.start_host()
        harness.scale(1)
        harness.eventually_is(SUCCEEDED)
        harness.scale(2)
        harness.eventually_is(SUCCEEDED)
    assert set(callers.answers) == {'200 "hello"'}


def test_death_of_one_of_two_workers_loses_no_request(harness, port):
    harness.deploy(answering("hello"), instances=2)
    harness.start_host()
    harness.eventually_is(SUCCEEDED)
    callers = Callers(port)
    with callers.calling():
        victim = min(harness.routed())
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: len(harness.routed()) == 2 and victim not in harness.routed())
    assert set(callers.answers) == {'200 "hello"'}


def test_gateway_answers_503_not_404_without_a_ready_worker(harness, port):
    harness.deploy(answering("hello"), timeout=0.5)
    harness.start_host()
    harness.eventually_is(SUCCEEDED)
    harness.stop_host()
    eventually(lambda: _is_applied(harness))
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    assert score(connection).startswith("503 ")
    connection.close()


def _is_applied(harness: HostHarness) -> bool:
    snapshot = harness.gateway.snapshot()
    report = json.loads((harness.data_dir.run / "gateway-0.applied").read_text())
    return snapshot is not None and snapshot.order == (report["revision"], report["sequence"])


# Writes its input to the connections that the worker's own io thread holds.
FORGING = """
    import os, stat

    def init():
        pass

    def run(input_data, params=None):
        for descriptor in range(3, 256):
            try:
                if input_data and stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                    os.write(descriptor, bytes.fromhex(input_data))
            except OSError:
                pass
        return os.getpid()
"""


@pytest.mark.parametrize(
    "content", [b"GET / HTTP/1.1\r\n\r\nHost: x\r\n\r\n", b"MY\x01"], ids=["no frame", "unfinished header"]
)
def test_worker_that_breaks_the_protocol_is_replaced(harness, port, content):
    harness.deploy(FORGING)
    harness.start_host()
    harness.eventually_is(SUCCEEDED)
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    (pid,) = harness.routed()
    eventually(lambda: score(connection, "") == f"200 {pid}")
    assert score(connection, content.hex()).startswith(("424", "200"))
    eventually(lambda: score(connection, "").startswith("200") and harness.routed() not in ({pid}, set()))

    eventually(lambda: "broke the protocol" in str(harness.worker_rows()[0].last_exit_reason))
    connection.close()
