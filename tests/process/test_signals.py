"""The signal pipe: a stop signal ends the current wait and is counted; a poke only ends the wait."""

import subprocess
import sys

_LOOP = """
import signal, threading
from modelyard.process.signals import SignalPipe

signals = SignalPipe(signal.SIGCHLD)
threading.Thread(target=signals.poke).start()
signals.wait(60)
print("poked", signals.told_to_stop, flush=True)
signals.wait(60)
print("told", signals.stop_signals, flush=True)
signals.wait(60)
print("told", signals.stop_signals, flush=True)
"""

_WORKER = """
import time
from modelyard.process.signals import exit_on_stop_signals

exit_on_stop_signals(sender="celery")
try:
    print("working", flush=True)
    time.sleep(600)
finally:
    print("unwound", flush=True)
"""


def started(script: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-u", "-c", script], stdout=subprocess.PIPE, text=True)


def test_signal_pipe_counts_stop_signals_and_wakes_on_pokes():
    with started(_LOOP) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "poked False\n"
        process.terminate()
        assert process.stdout.readline() == "told 1\n"
        process.terminate()
        assert process.stdout.readline() == "told 2\n"
    assert process.returncode == 0


def test_exit_on_stop_signals_unwinds_the_main_thread_and_exits_with_0():
    with started(_WORKER) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.terminate()
        assert process.stdout.readline() == "unwound\n"
    assert process.returncode == 0
