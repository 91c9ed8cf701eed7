"""What the main loop sleeps on: a pipe that threads and signals write to."""

import os
import select
import signal


class Wake:
    """Made in the main thread, which alone may take signals."""

    def __init__(self) -> None:
        self.told_to_stop = False
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def poke(self) -> None:
        """From any thread: there is something to look at."""
        try:
            os.write(self._writer, b"\0")
        except BlockingIOError:
            return  # Full: the loop is about to wake anyway.

    def wait(self, seconds: float) -> None:
        readable, _, _ = select.select([self._reader], [], [], seconds)
        if readable:
            os.read(self._reader, 4096)

    def _stop(self, _number: int, _frame: object) -> None:
        self.told_to_stop = True
        self.poke()
