"""What a supervisor hears: signals, and the deaths of processes that were left to it."""

import os
import select
import signal
from collections.abc import Collection

_TO_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """From its making on, no signal is lost, and none interrupts anything."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        for end in (self._reader, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *_TO_STOP):
            signal.signal(number, lambda *_: None)
        self.orders_to_stop = 0

    @property
    def told_to_stop(self) -> bool:
        return self.orders_to_stop > 0

    def wait(self, seconds: float, *more: int) -> list[int]:
        """Until a signal comes or a descriptor of `more` can be read; returns those that can."""
        readable, _, _ = select.select([self._reader, *more], [], [], seconds)
        if self._reader in readable:
            received = os.read(self._reader, 4096)
            self.orders_to_stop += sum(number in _TO_STOP for number in received)
        return [descriptor for descriptor in readable if descriptor != self._reader]


def reap_orphans(own: Collection[int]) -> None:
    """As process 1 (of a container), whoever is left without a parent is ours to reap; `own` have somebody waiting."""
    while True:
        try:
            # Only looked at: taking the status of one of our own would hide its end from whoever waits for it.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in own:
            return
        os.waitpid(ended.si_pid, 0)
