"""The keeper: nothing of what it runs is left behind, and how it ended is known."""

import ast
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from modelyard.process import shim
from modelyard.process.shim_command import shim_command


class Kept:
    """A command under a keeper whose lifeline the test holds."""

    def __init__(self, folder: Path, command: list[str], *options: str) -> None:
        self.exit_file = folder / "exit.json"
        self.log = folder / "log"
        reader, self.lifeline = os.pipe()
        files = ("--exit-file", str(self.exit_file), "--log", str(self.log))
        self.process = subprocess.Popen(
            [*shim_command(reader, *files, *options), "--", *command],
            pass_fds=[reader],
        )
        os.close(reader)

    def says(self, text: str) -> str:
        """Wait until the command has printed `text`; returns all that it printed."""
        wait_until(lambda: self.log.exists() and text in self.log.read_text())
        return self.log.read_text()

    def cut_lifeline(self) -> None:
        os.close(self.lifeline)
        self.lifeline = -1

    @property
    def ending(self) -> dict:
        return json.loads(self.exit_file.read_text())

    def close(self) -> None:
        if self.lifeline >= 0:
            os.close(self.lifeline)
        self.process.wait(10)


@pytest.fixture
def keep(tmp_path) -> Iterator[Callable[..., Kept]]:
    running: list[Kept] = []

    def start(script: str, *options: str) -> Kept:
        running.append(Kept(tmp_path, [sys.executable, "-S", "-u", "-c", script], *options))
        return running[-1]

    yield start
    for kept in running:
        kept.close()


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


WITH_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""


def test_when_the_lifeline_ends_the_command_and_its_children_end(keep):
    kept = keep(WITH_A_CHILD)
    child = int(kept.says("child").split()[1])
    kept.cut_lifeline()
    kept.process.wait(10)
    wait_until(lambda: not is_running(child))
    assert kept.ending["signal"] == signal.SIGTERM


def test_what_a_command_left_in_its_group_is_killed_when_it_ends(keep):
    kept = keep(WITH_A_CHILD.replace("time.sleep(600)\n", "sys.exit(5)\n"))
    child = int(kept.says("child").split()[1])
    assert kept.process.wait(10) == 5
    wait_until(lambda: not is_running(child))


def test_a_command_that_ignores_the_stop_signal_is_killed_after_the_grace(keep):
    kept = keep(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(600)", "--grace", "0.2"
    )
    kept.says("deaf")
    kept.process.terminate()
    kept.process.wait(10)
    assert kept.ending["signal"] == signal.SIGKILL


def test_the_exit_code_is_recorded_and_passed_on(keep):
    kept = keep("raise SystemExit(3)")
    assert kept.process.wait(10) == 3
    assert (kept.ending["exit_code"], kept.ending["signal"]) == (3, None)


def test_a_killed_keeper_takes_the_command_with_it(keep):
    kept = keep("import os, time; print('pid', os.getpid()); time.sleep(600)")
    pid = int(kept.says("pid").split()[1])
    kept.process.kill()
    wait_until(lambda: not is_running(pid))


def test_the_command_inherits_no_descriptor_but_those_named(keep):
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    kept = keep("import os; print('open', sorted(map(int, os.listdir('/proc/self/fd')))[:-1])")
    printed = kept.says("open")
    os.close(reader)
    os.close(writer)
    assert printed.split("open ")[1].strip() == "[0, 1, 2]"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_as_root_the_command_runs_as_the_given_user_without_groups(tmp_path):
    kept = Kept(tmp_path, ["/bin/sh", "-c", "id -u; id -g; id -G"], "--uid", "64042", "--gid", "64043")
    kept.process.wait(10)
    kept.close()
    assert kept.log.read_text().split() == ["64042", "64043", "64043"]


def test_a_command_that_does_not_exist_is_named_in_the_log(tmp_path):
    reader, writer = os.pipe()
    done = subprocess.run(
        [*shim_command(reader), "--", "/nonexistent/program"],
        pass_fds=[reader],
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(reader)
    os.close(writer)
    assert done.returncode == 127
    assert "cannot start /nonexistent/program" in done.stderr


def test_a_lifeline_with_a_large_number_is_watched_too(tmp_path):
    reader, writer = os.pipe()
    large = fcntl.fcntl(reader, fcntl.F_DUPFD, 1500)
    process = subprocess.Popen(
        [*shim_command(large), "--", "/bin/sleep", "600"],
        pass_fds=[large],
    )
    os.close(reader)
    os.close(large)
    os.close(writer)
    assert process.wait(10) == 128 + signal.SIGTERM


def test_shim_is_written_in_the_grammar_of_python_3_8_and_imports_only_the_standard_library():
    tree = ast.parse(Path(shim.__file__).read_text(), feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= set(sys.stdlib_module_names)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
