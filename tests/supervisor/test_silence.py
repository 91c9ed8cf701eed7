"""Silence of a heartbeat, in the supervisor's waking time, and the kill of a tree of processes."""

import os
import signal
import subprocess
import sys

import psutil

from modelyard.supervisor import silence
from modelyard.supervisor.process_tree import descendants, kill_tree
from modelyard.supervisor.silence import Silence
from tests.supervisor.starts import wait_until


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


def begun(tmp_path, monkeypatch) -> tuple[Silence, Clock]:
    clock = Clock()
    monkeypatch.setattr(silence, "time", clock)
    heard = Silence(tmp_path / "beat")
    heard.begin()
    return heard, clock


def test_silence_adds_up_until_the_next_beat(tmp_path, monkeypatch):
    heard, clock = begun(tmp_path, monkeypatch)
    for _ in range(10):
        clock.now += 0.2
        heard.look()
    assert round(heard.seconds, 3) == 2.0
    assert not heard.has_beaten
    os.utime(heard.path, (1, 1))
    heard.look()
    assert (heard.seconds, heard.has_beaten) == (0.0, True)


def test_pause_of_the_supervisor_itself_is_no_silence(tmp_path, monkeypatch):
    heard, clock = begun(tmp_path, monkeypatch)
    clock.now += 3600
    heard.look()
    assert heard.seconds <= 0.5


def test_time_that_does_not_count_is_no_silence(tmp_path, monkeypatch):
    heard, clock = begun(tmp_path, monkeypatch)
    for _ in range(10):
        clock.now += 0.2
        heard.look(counts=False)
    assert heard.seconds == 0.0


def test_stopped_descendants_with_sessions_of_their_own_are_killed():
    program = (
        "import os, signal, time\n"
        "for _ in range(3):\n"
        "    if os.fork():\n"
        "        break\n"
        "    os.setsid()\n"
        "os.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as root:
        wait_until(
            lambda: (
                len(descendants(root.pid)) == 3
                and all(
                    psutil.Process(pid).status() == psutil.STATUS_STOPPED for pid in (root.pid, *descendants(root.pid))
                )
            ),
            "every process is stopped",
        )
        below = descendants(root.pid)
        kill_tree(root.pid)
        assert root.wait(10) == -signal.SIGKILL
        wait_until(lambda: not any(_runs(pid) for pid in below), "every descendant is dead")


def _runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
