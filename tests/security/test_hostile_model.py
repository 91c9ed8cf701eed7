"""Attacks of a hostile model, from a real worker, on a platform of root and on a platform of an ordinary user."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from modelyard.process import cgroups
from tests.security.attacks import ALLOWED_WITH_AN_ACCOUNT, ATTACKS, USES

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the sandbox is Linux's")

ROOT = Path(__file__).parents[2]
# Of this test run alone: the kernel counts the tasks of a user.
SPARE_UID = 60_000 + os.getpid() % 3_000
PUBLIC_PYTHON = "/usr/bin/python3"

LIMIT_FILES = {"memory.max", "memory.limit_in_bytes", "pids.max"}


@dataclass
class Hostile:
    process: "subprocess.Popen[str]"
    mode: str
    protections: list[str]
    facts: dict[str, Any]

    def run(self, name: str, **facts: Any) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps({"name": name, "facts": facts}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, "the platform of the test died"
        outcome: dict[str, Any] = json.loads(line)
        return outcome


def modes() -> list[str]:
    if os.getuid() != 0:
        return ["user"]
    return ["root", "user"] if shutil.which(PUBLIC_PYTHON) else ["root"]


@pytest.fixture(scope="module", params=modes())
def hostile(request: pytest.FixtureRequest) -> Iterator[Hostile]:
    mode = request.param
    folder = Path(tempfile.mkdtemp(prefix="my-security-"))
    folder.chmod(0o711)
    python = PUBLIC_PYTHON if os.getuid() == 0 else sys.executable
    command = [sys.executable, "-m", "tests.security.hostile_worker", str(folder), "--python", python]
    if mode == "user" and os.getuid() == 0:
        os.chown(folder, SPARE_UID, SPARE_UID)
        command += ["--uid", str(SPARE_UID)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        start = json.loads(process.stdout.readline())
        yield Hostile(process, mode, start["protections"], start["facts"])
        assert process.stdin
        process.stdin.close()
        assert process.wait(60) == 0
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused(hostile: Hostile, name: str) -> None:
    outcome = hostile.run(name)
    assert outcome["harm"] == []
    if hostile.mode == "root" and name in ALLOWED_WITH_AN_ACCOUNT:
        return
    assert not outcome["succeeded"], outcome


@pytest.mark.parametrize("name", USES)
def test_what_models_do_still_works(hostile: Hostile, name: str) -> None:
    outcome = hostile.run(name)
    assert outcome["succeeded"], outcome


def test_all_protections_of_the_kernel_are_in_force(hostile: Hostile) -> None:
    expected = {"limits", "files", "signals", "system-calls", "network", "shared-memory"}
    assert expected | ({"account"} if hostile.mode == "root" else set()) <= set(hostile.protections)


def test_storm_of_500_forks_is_bounded(hostile: Hostile) -> None:
    # The kernel counts all tasks of the user. The limit has room for those at the worker's start.
    bound = 300 if "account" in hostile.protections else 400
    outcome = hostile.run("fork storm", most=500)
    assert outcome["harm"] == []
    assert 200 < outcome["evidence"] <= bound


def test_whole_process_tree_is_in_a_group_with_limits_where_one_can_be_made(hostile: Hostile) -> None:
    can_limit = hostile.mode == "root" and cgroups.can_limit()
    assert ("cgroup" in hostile.protections) == can_limit
    groups = [line.split(":", 2) for line in hostile.run("its own control group")["evidence"].splitlines()]
    ours = {names or "unified": path for _, names, path in groups if "/modelyard/" in path}
    assert bool(ours) == can_limit
    limits = {}
    for names, path in ours.items():
        folder = Path("/sys/fs/cgroup") / ("" if names == "unified" else names) / path.lstrip("/")
        limits |= {file.name: file.read_text().strip() for file in folder.glob("*") if file.name in LIMIT_FILES}
    assert sorted(limits.values()) == (["2147483648", "300"] if can_limit else [])


def test_descriptors_are_bounded(hostile: Hostile) -> None:
    assert 100 < hostile.run("descriptor storm")["evidence"] < 512


def test_memory_is_bounded(hostile: Hostile) -> None:
    assert hostile.run("memory storm")["evidence"] <= 2 << 30


def test_sparse_file_is_refused(hostile: Hostile) -> None:
    assert "File too large" in hostile.run("sparse file")["evidence"]


def test_real_file_is_bounded(hostile: Hostile) -> None:
    assert hostile.run("real file")["evidence"] == 64 << 20


def test_shared_memory_is_bounded(hostile: Hostile) -> None:
    assert hostile.run("shared memory")["evidence"] <= 1 << 30


@pytest.mark.parametrize("end", ["end", "kill the shim from outside"])
def test_daemon_ends_with_the_worker(hostile: Hostile, end: str) -> None:
    daemon = psutil.Process(hostile.run("daemon")["evidence"])
    assert daemon.is_running()
    assert hostile.run(end)["harm"] == []
    until = time.monotonic() + 10
    while daemon.is_running() and daemon.status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.02)
    assert not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE
