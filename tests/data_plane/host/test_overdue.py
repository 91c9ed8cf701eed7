"""Overdue requests: the caller gets a 408, and the worker becomes free or is replaced."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from modelyard.core.domain.lifecycle import ProvisioningState
from tests.data_plane.host.callers import score
from tests.data_plane.host.host_harness import HostHarness
from tests.data_plane.replicas.worker_harness import PATIENCE, eventually

# Works for as long as the file of the request exists, and returns the pid.
WAITS = """
    import os, time

    def init():
        pass

    def run(input_data, params=None):
        while os.path.exists(input_data):
            time.sleep(0.01)
        return os.getpid()
"""

# A call into native code that keeps every other thread of the process waiting, for longer than any caller waits.
SEIZES = """
    import os, re

    def init():
        pass

    def run(input_data, params=None):
        if input_data == "seize":
            re.match("(a+)+$", "a" * 64 + "b")
        return os.getpid()
"""


def ask(port: int, data: Any) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=2 * PATIENCE)
    try:
        return score(connection, data)
    finally:
        connection.close()


def pid_answered(port: int, data: str) -> int | None:
    """Return the pid of the scoring worker, or None without a prediction."""
    answer = ask(port, data)
    assert answer[:3] in {"200", "408", "503"}
    return json.loads(answer[4:]) if answer.startswith("200") else None


def serve(harness: HostHarness, script: str, timeout: float) -> int:
    """Deploy and return the pid of the only worker."""
    harness.deploy(script, timeout=timeout)
    harness.start_host()
    harness.eventually_is(ProvisioningState.SUCCEEDED)
    (pid,) = harness.routed()
    return pid


def gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}")


def test_worker_of_an_overdue_request_is_replaced(harness: HostHarness, port: int, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    old = serve(harness, WAITS, timeout=2.0)
    assert ask(port, str(hold)).startswith("408 ")
    new = eventually(lambda: pid_answered(port, "/none"))
    assert new != old
    eventually(lambda: gone(old))
    eventually(lambda: harness.pids() == {new})
    reason = eventually(lambda: next((row.last_exit_reason for row in harness.worker_rows()), None))
    assert reason.endswith("s after its deadline")


def test_other_requests_are_answered_while_one_is_overdue(harness: HostHarness, port: int, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    harness.deploy(WAITS, timeout=2.0, instances=2)
    harness.start_host()
    harness.eventually_is(ProvisioningState.SUCCEEDED)
    before = harness.pids()
    with ThreadPoolExecutor(1) as caller:
        lost = caller.submit(ask, port, str(hold))
        answers = {ask(port, "/none")[:3] for _ in range(20)}
        while not (before - harness.pids() and len(harness.routed()) == 2):
            answers.add(ask(port, "/none")[:3])
        assert lost.result().startswith("408 ")
    assert answers == {"200"}


def test_overdue_worker_that_becomes_free_keeps_serving(harness: HostHarness, port: int, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    old = serve(harness, WAITS, timeout=0.5)
    # From now on no other worker becomes ready.
    (bundle,) = harness.data_dir.bundles.glob("*/score.py")
    bundle.write_text("import threading\n\ndef init():\n    threading.Event().wait()\n\ndef run(x):\n    pass\n")
    assert ask(port, str(hold)).startswith("408 ")
    (spare,) = eventually(lambda: harness.pids() - {old})
    hold.unlink()
    assert eventually(lambda: pid_answered(port, "/none")) == old
    eventually(lambda: gone(spare))
    eventually(lambda: harness.pids() == {old})
    eventually(lambda: [(row.pid, row.restarts) for row in harness.worker_rows()] == [(old, 0)])


def test_overdue_worker_silenced_by_native_code_is_replaced(harness: HostHarness, port: int) -> None:
    old = serve(harness, SEIZES, timeout=1.0)
    assert ask(port, "seize").startswith("408 ")
    assert eventually(lambda: pid_answered(port, "")) != old
    eventually(lambda: gone(old))
