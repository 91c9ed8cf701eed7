"""Heartbeats of a process: a file is touched while the main loop turns, and not while it hangs."""

import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path

from modelyard.process import heartbeat
from modelyard.process.heartbeat import Heartbeat
from tests.supervisor.starts import wait_until


def test_event_loop_that_turns_beats(tmp_path):
    async def turn() -> None:
        beating = asyncio.create_task(Heartbeat(tmp_path / "beat").follow_event_loop())
        await asyncio.sleep(0.05)
        beating.cancel()

    (tmp_path / "beat").touch()
    before = (tmp_path / "beat").stat().st_mtime_ns
    asyncio.run(turn())
    assert (tmp_path / "beat").stat().st_mtime_ns > before


def test_event_loop_with_a_step_that_hangs_does_not_beat(tmp_path):
    async def turn() -> None:
        beating = asyncio.create_task(Heartbeat(tmp_path / "beat").follow_event_loop(asyncio.Event().wait))
        await asyncio.sleep(0.05)
        beating.cancel()

    (tmp_path / "beat").touch()
    before = (tmp_path / "beat").stat().st_mtime_ns
    asyncio.run(turn())
    assert (tmp_path / "beat").stat().st_mtime_ns == before


def test_heartbeat_without_a_file_does_nothing():
    Heartbeat(None).beat()
    with Heartbeat(None).working():
        pass


WAITING = """
import sys, threading, time
from pathlib import Path
from modelyard.process import heartbeat
heartbeat.BEAT_SECONDS = 0.05
heartbeat._SHORTEST_PAUSE_SECONDS = 0.01
with heartbeat.Heartbeat(Path(sys.argv[1]), idle_seconds=0.5).working():
    until = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < until:
        sum(range(1000))
    threading.Event().wait()
"""


def test_long_work_beats_while_the_main_thread_computes_and_stops_when_it_hangs(tmp_path: Path):
    file = tmp_path / "beat"
    with subprocess.Popen([sys.executable, "-c", WAITING, str(file), "1.5"]) as process:
        wait_until(file.exists, "the process runs")
        began = file.stat().st_mtime
        wait_until(lambda: file.stat().st_mtime > began + 1.0, "the process beats during its work")
        wait_until(lambda: time.time() - file.stat().st_mtime > 1.0, "the hung process is silent")
        process.kill()


def test_work_that_ended_leaves_the_beats_to_the_loop(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(heartbeat, "_SHORTEST_PAUSE_SECONDS", 0.0)
    file = tmp_path / "beat"
    beating = Heartbeat(file, idle_seconds=60)
    with beating.working():
        began = file.stat().st_mtime_ns
        wait_until(lambda: file.stat().st_mtime_ns > began, "a thread beats during the work")
    threading.Event().wait(0.1)
    ended = file.stat().st_mtime_ns
    threading.Event().wait(0.1)
    assert file.stat().st_mtime_ns == ended
