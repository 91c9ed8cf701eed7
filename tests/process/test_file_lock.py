"""File locks between processes: one holder at a time, and the holder's death releases the lock."""

import os
import signal
import subprocess
import sys
import threading

from modelyard.process.file_lock import locked_file, try_lock

_HOLDER = """
import sys, time
from pathlib import Path
from modelyard.process.file_lock import locked_file

with locked_file(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_lock_of_a_killed_process_passes_to_the_waiting_process(tmp_path):
    file, waiting, done = tmp_path / "lock", threading.Event(), threading.Event()
    with subprocess.Popen([sys.executable, "-c", _HOLDER, str(file)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        def wait_for_it() -> None:
            with locked_file(file, on_wait=waiting.set):
                done.set()

        thread = threading.Thread(target=wait_for_it)
        thread.start()
        assert waiting.wait(20)
        assert not done.is_set()
        holder.send_signal(signal.SIGKILL)
        thread.join(20)
    assert done.is_set()


def test_try_lock_is_false_while_another_descriptor_holds_the_lock(tmp_path):
    first, second = (os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT) for _ in range(2))
    assert try_lock(first)
    assert not try_lock(second)
    os.close(first)
    assert try_lock(second)
    os.close(second)


def test_free_lock_is_taken_without_a_word_about_waiting(tmp_path):
    waits: list[str] = []
    with locked_file(tmp_path / "lock", on_wait=lambda: waits.append("waited")):
        assert waits == []
