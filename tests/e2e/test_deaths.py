"""Any process can die at any moment: it comes back, serving recovers, and what was under way reaches an end."""

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx2
import psutil
import pytest

from tests.e2e.models import answering, save_loader
from tests.e2e.platform import wait_until

ROW = {"input_data": [[1.0, 0.5, 1]]}

SERVICES = {
    "control plane": ("-m control_plane.main",),
    "gateway": ("-m data_plane.gateway.main",),
    "host": ("-m data_plane.host.main",),
    "builder": ("-m builder.main",),
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
def test_a_killed_process_comes_back_and_serving_goes_on(platform, tour, service):
    key = platform.key(tour)
    victim = platform.process(*SERVICES[service])
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(10)
    successor = wait_until(lambda: platform.process(*SERVICES[service]), 30, f"{service} is back")
    assert (successor.pid, successor.create_time()) != (victim.pid, victim.create_time())
    wait_until(lambda: serves(platform, tour, key), 60, "the deployment serves")
    wait_until(lambda: healthy(platform), 60, "the control plane answers from the database")


def test_a_killed_model_worker_is_replaced_and_its_end_is_told(platform, tour):
    key = platform.key(tour)
    (worker,) = platform.workers_of(tour)
    os.kill(worker["process"]["pid"], signal.SIGKILL)
    wait_until(
        lambda: [g["process"]["pid"] for g in platform.workers_of(tour)] not in ([], [worker["process"]["pid"]]),
        60,
        "a new worker",
    )
    wait_until(lambda: serves(platform, tour, key), 60, "the deployment serves")
    status = platform.cli("status", "-o", "json").stdout
    assert "SIGKILL" in status


def test_a_killed_host_finds_its_model_workers_again(platform, tour):
    before = pids_of(platform, tour)
    os.kill(platform.process(*SERVICES["host"]).pid, signal.SIGKILL)
    key = platform.key(tour)
    # A change that only a living host can put into effect.
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
def test_a_deployment_under_way_reaches_its_end_though_a_process_is_killed(platform, tmp_path, service):
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

    assert wait_until(lambda: state() if state() in ("Succeeded", "Failed") else "", 60, "a final state") == "Succeeded"


def test_when_the_supervisor_is_killed_nothing_is_left_and_the_next_start_serves_again(platform, tour):
    key = platform.key(tour)
    platform.kill()
    wait_until(lambda: not platform.processes(), 10, f"nothing is left running: {platform.processes()}")
    platform.start()
    wait_until(lambda: serves(platform, tour, key), 60, "every deployment serves again")


def test_ctrl_c_leaves_nothing_running_and_the_next_start_serves_again(platform, tour):
    key = platform.key(tour)
    running = platform.processes()
    platform.stop()
    gone, left = psutil.wait_procs(running, timeout=10)
    assert gone
    assert not left
    platform.start()
    wait_until(lambda: serves(platform, tour, key), 60, "every deployment serves again")


HOLDING = """
import os, time

def hold(folder):
    open(os.path.join(folder, "held"), "w").close()
    while not os.path.exists(os.path.join(folder, "go")):
        time.sleep(0.01)
    return "in the end"
"""


def test_told_to_stop_the_platform_first_answers_what_is_under_way(platform, tour, tmp_path):
    tours_key = platform.key(tour)
    meeting = platform.folder / "meeting"
    meeting.mkdir()
    # The model may run as another user.
    meeting.chmod(0o777)
    folder = save_loader(tmp_path / "m", answering("[hold(model_input[0])]", before=HOLDING), pip=("pandas", "numpy"))
    platform.cli("deploy", folder, "--endpoint-name", "holding")
    key, scoring = platform.key("holding"), httpx2.URL(platform.scoring_url)
    with ThreadPoolExecutor(2) as callers:
        answer = callers.submit(platform.score, "holding", {"input_data": [str(meeting)]}, key)
        wait_until((meeting / "held").exists, 30, "the model is at it")
        stopped = callers.submit(platform.stop)
        wait_until(lambda: refuses(scoring.host, scoring.port), 20, "whoever comes now is refused")
        wait_until(lambda: not platform.services("-m builder.main"), 20, "builders do not wait for it")
        assert platform.services("-m data_plane.host.main")
        (meeting / "go").touch()
        assert answer.result(30).json() == ["in the end"]
        stopped.result(30)
    wait_until(lambda: not platform.processes(), 20, "nothing is left running")
    platform.start()
    wait_until(lambda: serves(platform, tour, tours_key), 60, "every deployment serves again")


def refuses(host: str, port: int | None) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False
