import socket
import sys
from dataclasses import replace

import pytest

from data_plane.replicas.local.worker_sandbox import open_worker_sandbox
from data_plane.scoring.payload.values import JsonPayload, JsonResult
from modelyard.core.settings import Tunables, WorkerSettings
from modelyard.process import sandbox
from modelyard.process.sandbox import Kernel, SandboxUnavailable, check_kernel, missing
from tests.data_plane.replicas.worker_harness import PATIENCE, WorkerHarness

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox is Linux's")

CONNECTING = """
    import socket

    def init():
        pass

    def run(port, params=None):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError as error:
            return type(error).__name__
        return "connected"
"""


@linux_only
@pytest.mark.parametrize(
    ("network", "asks", "connects"),
    [
        ("deployment", False, False),
        ("deployment", True, True),
        ("none", True, False),
        ("all", False, True),
    ],
)
def test_network_is_the_deployments_unless_the_setting_overrides(
    harness: WorkerHarness, network: str, asks: bool, connects: bool
) -> None:
    settings = Tunables(worker=WorkerSettings(network=network))
    launch = {"sandbox": open_worker_sandbox(settings, harness.data_dir)}
    worker, connection = harness.ready(CONNECTING, launch=launch, has_network=asks)
    with socket.create_server(("127.0.0.1", 0)) as server:
        result = connection.score(JsonPayload(server.getsockname()[1]), timeout=PATIENCE)
    assert isinstance(result, JsonResult)
    assert (result.text == b'"connected"') == connects
    assert ("network" in worker.protections) != connects


def test_sandbox_that_is_off_gives_no_protection(harness: WorkerHarness) -> None:
    assert open_worker_sandbox(Tunables(sandbox="off"), harness.data_dir) is None


def test_require_names_what_the_machine_lacks(harness: WorkerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_plane.replicas.local.worker_sandbox.probe", lambda: Kernel(seccomp=True))
    with pytest.raises(SandboxUnavailable, match="'require', and this machine offers no Landlock"):
        open_worker_sandbox(Tunables(sandbox="require"), harness.data_dir)
    assert open_worker_sandbox(Tunables(), harness.data_dir) is not None


def test_signals_of_an_older_kernel_are_held_by_an_account_alone() -> None:
    older = Kernel(landlock=5, seccomp=True, namespaces=("mount", "ipc", "net"))
    check_kernel(older, owns_account=True)
    with pytest.raises(SandboxUnavailable, match="a bound on signals"):
        check_kernel(older, owns_account=False)
    assert missing(older, owns_account=True) == []


@linux_only
def test_worker_without_namespaces_and_landlock_still_has_the_filter_and_limits(harness: WorkerHarness) -> None:
    whole = open_worker_sandbox(Tunables(), harness.data_dir)
    assert whole is not None
    assert whole.kernel == sandbox.probe()
    reduced = replace(whole, kernel=Kernel(seccomp=True))
    worker, connection = harness.ready(CONNECTING, launch={"sandbox": reduced})
    assert {"limits", "system-calls", "network"} <= set(worker.protections)
    assert "files" not in worker.protections
    result = connection.score(JsonPayload(1), timeout=PATIENCE)
    assert isinstance(result, JsonResult)
    assert result.text == b'"PermissionError"'
