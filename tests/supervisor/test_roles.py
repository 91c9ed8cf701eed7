"""The roles of one platform, each in its own data dir, as on several machines."""

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.supervisor.starts import MODELYARD, Start, ended, environment, started, wait_until

TOKEN = "the-token-of-both-control-planes"


def run_info(start: Start) -> dict:
    return json.loads((start.data_dir / "run" / "supervisor.json").read_text())


def modules(start: Start) -> set[str]:
    """Return the platform's modules that run under this supervisor."""
    children = psutil.Process(start.process.pid).children()
    return {line[line.index("-m") + 2] for line in (child.cmdline() for child in children) if "-m" in line}


def modelyard(folder: Path, url: str, *arguments: str) -> str:
    done = subprocess.run(
        [MODELYARD, *arguments],
        env=environment(folder, MODELYARD_URL=url, MODELYARD_TOKEN=TOKEN),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# tests/e2e/test_machines.py shows four of them at work, in each run.
@pytest.mark.long
def test_five_machines_work_together_through_database_broker_and_store_alone(passable_folder, servers):
    placed = {"MODELYARD_SCORING_PUBLIC_URL": "http://models.example:8001/"}
    control = {**servers, **placed, "MODELYARD_ADMIN_TOKEN": TOKEN, "AWS_SECRET_ACCESS_KEY": "a-credential"}
    with ExitStack() as machines:
        a, second, b, c, d = (
            machines.enter_context(started(passable_folder / name, *options, **variables))
            for name, options, variables in [
                ("a", ("--role", "control-plane"), control),
                ("a2", ("--role", "control-plane"), control),
                ("b", ("--role", "builder", "--builders", "1"), servers),
                ("c", ("--role", "batch", "--batch-workers", "1"), servers),
                ("d", ("--role", "data-plane"), {**servers, "AWS_SECRET_ACCESS_KEY": "a-credential"}),
            ]
        )
        for machine in (a, second, b, c, d):
            machine.becomes_healthy()
        assert modules(a) == modules(second) == {"control_plane.main"}
        assert modules(b) == {"builder.main"}
        assert modules(c) == {"data_plane.batch.main"}
        assert modules(d) == {"data_plane.gateway.main", "data_plane.host.main"}
        assert (
            run_info(b)["url"] is run_info(b)["scoring_url"] is run_info(a)["scoring_url"] is run_info(d)["url"] is None
        )
        # The command ends when the data plane serves the endpoint.
        modelyard(passable_folder, run_info(a)["url"], "online-endpoint", "create", "-n", "far")
        assert "http://models.example:8001/far/score" in modelyard(
            passable_folder, run_info(second)["url"], "online-endpoint", "show", "-n", "far"
        )
        assert httpx2.post(f"{run_info(d)['scoring_url']}/far/score").status_code == 401
        # The command ends when a builder has pruned.
        modelyard(passable_folder, run_info(second)["url"], "environment", "prune")
        _the_gateway_has_no_secret(d)
        for machine in (d, c, b, second, a):
            machine.process.terminate()
        for machine in (d, c, b, second, a):
            assert machine.ends() == 0, machine.printed
            assert not machine.healthy.exists()


def _the_gateway_has_no_secret(machine: Start) -> None:
    (gateway,) = [
        child
        for child in psutil.Process(machine.process.pid).children()
        if "data_plane.gateway.main" in child.cmdline()
    ]
    variables = gateway.environ()
    assert not [name for name in variables if name.startswith(("MODELYARD_", "AWS_", "AZURE_"))]
    assert variables["PATH"] == os.environ["PATH"]


def test_machine_is_unhealthy_while_one_of_its_processes_does_not_run(passable_folder, servers):
    with started(passable_folder / "data", "--role", "data-plane", **servers) as start:
        start.becomes_healthy()
        gateway = next(
            child
            for child in psutil.Process(start.process.pid).children()
            if "data_plane.gateway.main" in child.cmdline()
        )
        gateway.kill()
        start.says("gateway-0 ended (killed by SIGKILL); starting it again")
        # From now on it has failed once, and must first run for a while.
        touched = start.healthy.stat().st_mtime_ns
        wait_until(lambda: "data_plane.gateway.main" in modules(start), "the gateway runs again")
        assert start.healthy.stat().st_mtime_ns == touched
        wait_until(lambda: start.healthy.stat().st_mtime_ns > touched, "it is healthy again")


@pytest.mark.parametrize("options", [("--role", "control_plane"), ("--builders", "-1")])
def test_unknown_role_or_negative_number_is_a_usage_error(passable_folder, options):
    assert ended(passable_folder / "data", *options).process.returncode == 2
