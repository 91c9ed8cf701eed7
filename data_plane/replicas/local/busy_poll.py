"""Busy polling: the event loop stays awake while a worker's answer is due within microseconds.

Waking a process that sleeps takes 50 to 100 µs, as long as many predictions. The loop polls only while the last answer
came within the limit, so a model with longer calls costs nothing, and each turn of the loop yields the core.
"""

import asyncio
import time

from data_plane.worker.busy_poll import yield_core


class BusyPoll:
    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """`seconds`: longest time that the loop polls for an answer; 0 is off."""
        self._loop = loop
        self._seconds = seconds
        self._sent_at = 0.0
        self._is_due = False
        """Whether an answer is due."""
        self._is_worthwhile = False
        """Whether the last answer came within the limit."""
        self._is_polling = False

    def sent(self) -> None:
        """Note the sending of a batch to an idle worker."""
        self._sent_at = time.perf_counter()
        self._is_due = True
        if self._is_worthwhile and not self._is_polling:
            self._is_polling = True
            self._loop.call_soon(self._poll)

    def answered(self) -> None:
        self._is_due = False
        self._is_worthwhile = time.perf_counter() - self._sent_at < self._seconds

    def _poll(self) -> None:
        """Run in each turn of the loop, which therefore does not sleep."""
        is_worth_waiting = self._is_due and time.perf_counter() - self._sent_at < self._seconds
        self._is_polling = is_worth_waiting and not yield_core()
        if self._is_polling:
            self._loop.call_soon(self._poll)
