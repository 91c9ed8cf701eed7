"""The process shim: no process of a command survives it, and the exit of the command is recorded."""

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


class Shimmed:
    """A command under a shim whose lifeline the test holds."""

    def __init__(self, folder: Path, program: list[str], *options: str) -> None:
        self.exit_file = folder / "exit.json"
        self.log = folder / "log"
        reader, self.lifeline = os.pipe()
        files = ("--exit-file", str(self.exit_file), "--log", str(self.log))
        self.process = subprocess.Popen(
            [*shim_command(reader, *files, *options), "--", *program],
            pass_fds=[reader],
        )
        os.close(reader)

    def says(self, text: str) -> str:
        """Wait until the command has printed `text`; return its output."""
        wait_until(lambda: self.log.exists() and text in self.log.read_text())
        return self.log.read_text()

    def cut_lifeline(self) -> None:
        os.close(self.lifeline)
        self.lifeline = -1

    @property
    def exit_record(self) -> dict:
        return json.loads(self.exit_file.read_text())

    def close(self) -> None:
        if self.lifeline >= 0:
            os.close(self.lifeline)
        self.process.wait(10)


@pytest.fixture
def shimmed(tmp_path) -> Iterator[Callable[..., Shimmed]]:
    running: list[Shimmed] = []

    def start(script: str, *options: str) -> Shimmed:
        running.append(Shimmed(tmp_path, [sys.executable, "-S", "-u", "-c", script], *options))
        return running[-1]

    yield start
    for command in running:
        command.close()


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


WITH_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""


def test_end_of_the_lifeline_ends_the_command_and_its_children(shimmed):
    command = shimmed(WITH_A_CHILD)
    child = int(command.says("child").split()[1])
    command.cut_lifeline()
    command.process.wait(10)
    wait_until(lambda: not is_running(child))
    assert command.exit_record["signal"] == signal.SIGTERM


def test_children_of_an_ended_command_are_killed(shimmed):
    command = shimmed(WITH_A_CHILD.replace("time.sleep(600)\n", "sys.exit(5)\n"))
    child = int(command.says("child").split()[1])
    assert command.process.wait(10) == 5
    wait_until(lambda: not is_running(child))


def test_command_that_ignores_the_stop_signal_is_killed_after_the_grace(shimmed):
    command = shimmed(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(600)", "--grace", "0.2"
    )
    command.says("deaf")
    command.process.terminate()
    command.process.wait(10)
    assert command.exit_record["signal"] == signal.SIGKILL


def test_exit_code_is_recorded_and_returned(shimmed):
    command = shimmed("raise SystemExit(3)")
    assert command.process.wait(10) == 3
    assert (command.exit_record["exit_code"], command.exit_record["signal"]) == (3, None)


def test_kill_of_the_shim_kills_the_command(shimmed):
    command = shimmed("import os, time; print('pid', os.getpid()); time.sleep(600)")
    pid = int(command.says("pid").split()[1])
    command.process.kill()
    wait_until(lambda: not is_running(pid))


def test_command_inherits_only_the_named_descriptors(shimmed):
    reader, writer = os.pipe()
    os.set_inheritable(reader, True)
    command = shimmed("import os; print('open', sorted(map(int, os.listdir('/proc/self/fd')))[:-1])")
    printed = command.says("open")
    os.close(reader)
    os.close(writer)
    assert printed.split("open ")[1].strip() == "[0, 1, 2]"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_command_of_root_runs_as_the_given_user_without_other_groups(tmp_path):
    command = Shimmed(tmp_path, ["/bin/sh", "-c", "id -u; id -g; id -G"], "--uid", "64042", "--gid", "64043")
    command.process.wait(10)
    command.close()
    assert command.log.read_text().split() == ["64042", "64043", "64043"]


def test_missing_program_is_named_in_the_log(tmp_path):
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


def test_lifeline_with_a_descriptor_over_1024_is_watched(tmp_path):
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


class TestBoundedLog:
    """The command's output through a pipe: `--log-bytes`."""

    def test_output_is_in_the_log_before_the_exit_is_on_record(self, shimmed):
        command = shimmed("import os; os.write(1, b'one\\n'); os.write(2, b'two'); os._exit(3)", "--log-bytes", "1000")
        assert command.process.wait(10) == 3
        assert command.exit_record["exit_code"] == 3
        assert command.log.read_text() == "one\ntwo"

    def test_log_is_rotated_at_line_ends_and_the_newest_files_are_kept(self, shimmed, tmp_path):
        script = "for n in range(1000): print('line', n, flush=True)"
        command = shimmed(script, "--log-bytes", "1000", "--log-files", "3", "--log-rate", "1e9")
        assert command.process.wait(10) == 0
        files = [tmp_path / name for name in ("log.2", "log.1", "log")]
        assert sorted(tmp_path.glob("log*")) == sorted(files)
        assert all(file.stat().st_size <= 1000 for file in files)
        kept = "".join(file.read_text() for file in files).splitlines()
        assert kept == [f"line {n}" for n in range(1000 - len(kept), 1000)]

    def test_flood_is_left_out_with_a_note_and_the_last_lines_are_kept(self, shimmed, tmp_path):
        script = "for n in range(300_000): print('line', n, 'x' * 90)\nprint('last words')"
        command = shimmed(script, "--log-bytes", "1000000", "--log-rate", "10000")
        assert command.process.wait(60) == 0
        log = command.log.read_text()
        assert "bytes left out: the model wrote faster than its log takes" in log
        assert log.endswith("last words\n")
        assert sum(file.stat().st_size for file in tmp_path.glob("log*")) < 3_000_000

    def test_endless_flood_does_not_hold_up_the_stop(self, shimmed):
        command = shimmed(
            "import os\nwhile True: os.write(1, b'x' * 65536)", "--log-bytes", "100000", "--log-rate", "1000"
        )
        wait_until(lambda: command.log.exists() and command.log.stat().st_size > 0)
        command.process.terminate()
        command.process.wait(10)
        assert command.exit_record["signal"] == signal.SIGTERM

    @pytest.mark.parametrize(
        "attack",
        ["os.ftruncate(1, 40 << 30)", "os.lseek(1, 1 << 40, 0)", "os.pwrite(1, b'x', 1 << 40)"],
    )
    def test_command_cannot_make_the_log_sparse(self, shimmed, attack):
        script = f"import os\ntry:\n    {attack}\nexcept OSError:\n    print('refused', flush=True)"
        command = shimmed(script, "--log-bytes", "100000")
        assert command.process.wait(10) == 0
        assert command.log.read_text() == "refused\n"
        assert command.log.stat().st_size < 100

    def test_command_cannot_truncate_the_log_through_its_descriptor(self, shimmed):
        script = (
            "import os\nprint('evidence', flush=True)\n"
            "try:\n    open('/proc/self/fd/1', 'w').close()\n    os.truncate('/proc/self/fd/1', 0)\n"
            "except OSError:\n    pass"
        )
        command = shimmed(script, "--log-bytes", "100000")
        command.process.wait(10)
        assert "evidence" in command.log.read_text()

    def test_link_in_place_of_the_log_is_refused(self, tmp_path):
        (tmp_path / "log").symlink_to(tmp_path / "victim")
        reader, writer = os.pipe()
        arguments = [
            *shim_command(reader, "--log", str(tmp_path / "log"), "--log-bytes", "1000"),
            "--",
            "/bin/echo",
            "x",
        ]
        done = subprocess.run(arguments, pass_fds=[reader], check=False, capture_output=True)
        os.close(reader)
        os.close(writer)
        assert done.returncode != 0
        assert not (tmp_path / "victim").exists()

    def test_daemon_that_keeps_the_pipe_open_does_not_hold_up_the_end(self, shimmed):
        script = "import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(3); os._exit(0)\nprint('gone')"
        command = shimmed(script, "--log-bytes", "1000")
        assert command.process.wait(10) == 0
        assert command.log.read_text() == "gone\n"
