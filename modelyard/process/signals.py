"""Signals as events: a main loop sleeps on a pipe; signals, threads and ended children write to the pipe."""

import os
import select
import signal
import sys
from collections.abc import Collection

from modelyard.process.shim import open_wakeup_pipe

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SignalPipe:
    """From the creation on, no stop signal is lost, and no signal interrupts the process. For the main thread."""

    def __init__(self, *wake_on: signal.Signals) -> None:
        """`wake_on`: further signals to end a wait, SIGCHLD for example."""
        self.stop_signals = 0
        """Number of received stop signals; a second signal means "at once"."""
        self._reader, self._writer = open_wakeup_pipe()
        for number in _STOP_SIGNALS:
            signal.signal(number, self._count)
        for number in wake_on:
            signal.signal(number, lambda *_: None)

    @property
    def told_to_stop(self) -> bool:
        return self.stop_signals > 0

    def poke(self) -> None:
        """End the current or the next wait. Callable from any thread."""
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return  # The pipe is full, so the loop is about to wake anyway.

    def wait(self, seconds: float, *descriptors: int) -> list[int]:
        """Sleep until a signal, a poke or a readable descriptor; return the readable ones of `descriptors`."""
        readable, _, _ = select.select([self._reader, *descriptors], [], [], seconds)
        if self._reader in readable:
            os.read(self._reader, 4096)
        return [descriptor for descriptor in readable if descriptor != self._reader]

    def _count(self, _number: int, _frame: object) -> None:
        self.stop_signals += 1


def exit_on_stop_signals(**_: object) -> None:
    """Raise SystemExit in the main thread on a stop signal, where Celery would first finish its task.

    The signature fits Celery's signal `worker_ready`, sent after Celery has set its own handlers.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


def reap_orphans(own: Collection[int]) -> None:
    """As process 1 of a container, reap ended orphans, but no child of the caller (`own`)."""
    while True:
        try:
            # WNOWAIT only looks: reaping a child here would take the exit code from `subprocess`.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in own:
            return
        os.waitpid(ended.si_pid, 0)
