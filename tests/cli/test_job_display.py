"""The progress of a job: in a terminal, in a log, and after Ctrl-C."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.cli.job_display import Lines, duration
from modelyard.client.job_progress import JobProgress
from tests.cli.test_batch_commands import job

MODELYARD = Path(sys.executable).with_name("modelyard")


def running(completed: int, **more: object) -> JobProgress:
    progress = {"miniBatches": {"total": 10, "completed": completed, "failed": 0, "running": 1}, **more}
    return JobProgress.of(job("Running", progress=progress))


@pytest.fixture
def stream(environment):
    """Starts `modelyard job stream` as a process."""
    started = []

    def start(stderr: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [MODELYARD, "job", "stream", "-n", "j1"],
            env={**os.environ, **environment, "TERM": "xterm", "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            stderr=stderr,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def shown_on(terminal: int) -> str:
    """Read a terminal until the writer closes."""
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:
            return shown.decode()
        if not piece:
            return shown.decode()
        shown += piece


def test_terminal_shows_one_bar_with_counts_rate_and_time_left(platform, stream):
    progress = {
        "miniBatches": {"total": 10, "completed": 6, "failed": 1, "running": 2},
        "files": {"total": 40, "failed": 3},
        "rows": {"total": 2_000_000, "scored": 1_400_000},
        "rowsPerSecond": 123_456.7,
        "secondsLeft": 75,
    }
    platform.stories["GET", "/jobs/j1"] = [job("Running", progress=progress), job("Completed", progress=progress)]
    terminal, end = pty.openpty()
    process = stream(end)
    os.close(end)
    shown = shown_on(terminal)
    os.close(terminal)
    assert process.wait(20) == 0
    for word in (
        "Running",
        "7/10",
        "1,400,000 rows",
        "123,457 rows/s",
        "3 files failed",
        "1 min 15 s left",
        "Completed",
    ):
        assert word in shown, shown


def test_ctrl_c_leaves_the_job_running_and_names_the_commands(platform, stream):
    platform.stories["GET", "/jobs/j1"] = [job("Running")]
    process = stream(subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.readline().startswith(b"j1: Running")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said.decode() == (
        "job j1 continues in the background; to watch again: modelyard job stream -n j1; "
        "to stop the job: modelyard job cancel -n j1\n"
    )
    assert platform.said("POST") == []


class TestLines:
    @pytest.fixture
    def lines(self, capsys):
        """The printed lines for states at given times."""

        def printed(*seen: tuple[float, JobProgress]) -> list[str]:
            now = [0.0]
            show = Lines("j1", clock=lambda: now[0])
            for now[0], progress in seen:
                show(progress)
            return capsys.readouterr().err.splitlines()

        return printed

    def test_progress_within_a_status_is_printed_after_a_pause(self, lines):
        printed = lines((0, running(1)), (1, running(2)), (6, running(3)), (20, running(3)), (21, running(4)))
        assert [line.split()[2] for line in printed] == ["1", "3", "4"]

    def test_line_has_only_known_numbers(self, lines):
        unknown = JobProgress.of({"properties": {"status": "Queued"}})
        known = running(1, rows={"total": None, "scored": 5000}, rowsPerSecond=250.4, secondsLeft=20)
        assert lines((0, unknown), (1, known)) == [
            "j1: Queued",
            "j1: Running, 1 of 10 mini-batches, 5,000 rows, 250 rows/s, 20 s left",
        ]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.6, "1 min 0 s"), (75, "1 min 15 s"), (3600 * 26 + 61, "26 h 1 min")]
)
def test_duration_is_formatted_in_two_units(seconds, words):
    assert duration(seconds) == words
