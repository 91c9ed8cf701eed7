"""Any process of the platform can die at any moment: the process comes back, deployments serve, operations end."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.e2e.models import answering, save_loader
from tests.e2e.platform import SHARED_PLATFORM, wait_until

ROW = {"input_data": [[1.0, 0.5, 1]]}

SERVICES = {
    "control plane": ("control_plane.main",),
    "gateway": ("data_plane.gateway.main",),
    "host": ("data_plane.host.main",),
    "builder": ("builder.main",),
    "Valkey": ("valkey-server",),
    "Postgres": ("bin/postgres -D",),
}


def serves(platform, endpoint: str, key: str) -> bool:
    try:
        return platform.score(endpoint, ROW, key=key).status_code == 200
    except httpx2.TransportError:
        return False


def pids_of(platform, endpoint: str) -> list[int]:
    return [worker["process"]["pid"] for worker in platform.workers_of(endpoint)]


def healthy(platform) -> bool:
    try:
        return platform.rest("GET", "/onlineEndpoints").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.mark.parametrize("service", SERVICES)
def test_killed_process_comes_back_and_the_deployment_serves(platform, tour, service):
    key = platform.key(tour)
    before = set(platform.services(*SERVICES[service]))
    victim = platform.process(*SERVICES[service])
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(10)
    # A process equals another one of the same pid and start time.
    wait_until(lambda: set(platform.services(*SERVICES[service])) - before, 30, f"{service} is back")
    wait_until(lambda: serves(platform, tour, key), 60, "the deployment serves")
    wait_until(lambda: healthy(platform), 60, "the control plane answers from the database")


def test_killed_model_worker_is_replaced_and_status_names_the_signal(platform, tour):
    key = platform.key(tour)
    (worker,) = pids_of(platform, tour)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: pids_of(platform, tour) not in ([], [worker]), 60, "a new worker")
    wait_until(lambda: serves(platform, tour, key), 60, "the deployment serves")
    assert "SIGKILL" in platform.cli("status", "-o", "json").stdout


def test_killed_host_takes_over_its_model_workers(platform, tour):
    before = pids_of(platform, tour)
    os.kill(platform.process(*SERVICES["host"]).pid, signal.SIGKILL)
    key = platform.key(tour)
    # Only a running host puts this change into effect.
    platform.cli("online-endpoint", "update", "-n", tour, "--set", "tags.after=kill")
    assert pids_of(platform, tour) == before
    assert serves(platform, tour, key)


@pytest.mark.parametrize(
    "service",
    [
        "builder",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("Postgres", "Valkey", "host", "control plane")),
    ],
)
@pytest.mark.timeout(600)
def test_deployment_succeeds_although_a_process_is_killed_meanwhile(platform, tmp_path, service):
    name = "under-" + service.lower().replace(" ", "-")
    pin = f"six==1.{10 + list(SERVICES).index(service)}.0"
    folder = save_loader(tmp_path / "m", answering("['done']"), pip=("pandas", "numpy", pin))
    platform.cli("deploy", folder, "--endpoint-name", name, "--no-wait")
    url = f"/onlineEndpoints/{name}/deployments"

    def deployment() -> dict:
        found = platform.list(url)
        return found[0] if found else {}

    wait_until(lambda: deployment().get("properties", {}).get("provisioningState") == "Creating", 20, "it has begun")
    for victim in platform.services(*SERVICES[service]):
        os.kill(victim.pid, signal.SIGKILL)

    def state() -> str:
        return deployment()["properties"]["provisioningState"] if healthy(platform) else ""

    # The lease of a killed builder has to pass, and the build starts again.
    wait_until(lambda: state() in ("Succeeded", "Failed"), 240, "a final state")
    assert state() == "Succeeded"
    # Each deployment that stays has to start again with the platform in the tests below.
    platform.rest("DELETE", f"/onlineEndpoints/{name}")


def test_killed_supervisor_leaves_no_process_and_the_next_start_serves(platform, tour):
    key = platform.key(tour)
    platform.kill()
    wait_until(lambda: not platform.processes(), 30, "no process is left")
    platform.start(*SHARED_PLATFORM)
    wait_until(lambda: serves(platform, tour, key), 60, "the deployment serves again")


HOLDING = """
import os, time

def hold(folder):
    open(os.path.join(folder, "held"), "w").close()
    while not os.path.exists(os.path.join(folder, "go")):
        time.sleep(0.01)
    return "in the end"
"""


def test_ctrl_c_waits_for_a_request_under_way_leaves_no_process_and_the_next_start_serves(platform, tour, tmp_path):
    key_of_tour = platform.key(tour)
    folder = save_loader(tmp_path / "m", answering("[hold(model_input[0])]", before=HOLDING))
    platform.cli("deploy", folder, "--endpoint-name", "holding")
    # The stop may take longer than the default of 5 s for a request.
    longest = ("--set", "request_settings.request_timeout_ms=90000")
    platform.cli("online-deployment", "update", "-e", "holding", "-n", "default", *longest)
    key, scoring = platform.key("holding"), httpx2.URL(platform.scoring_url)
    # The only folder in which the sandbox lets the model write.
    meeting = Path(platform.workers_of("holding")[0]["folder"])
    with ThreadPoolExecutor(2) as callers:
        answer = callers.submit(platform.score, "holding", {"input_data": [str(meeting)]}, key)
        wait_until((meeting / "held").exists, 30, "the model has the request")
        stopped = callers.submit(platform.stop)
        wait_until(lambda: refuses(scoring.host, scoring.port), 30, "the platform refuses new connections")
        wait_until(lambda: not platform.services("builder.main"), 30, "builders do not wait for the request")
        assert platform.services("data_plane.host.main")
        (meeting / "go").touch()
        assert answer.result(120).json() == ["in the end"]
        stopped.result(120)
    wait_until(lambda: not platform.processes(), 30, "no process is left")
    platform.start(*SHARED_PLATFORM)
    wait_until(lambda: serves(platform, tour, key_of_tour), 60, "the deployment serves again")
    platform.rest("DELETE", "/onlineEndpoints/holding")


def refuses(host: str, port: int | None) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False
