"""Busy polling: the event loop stays awake while a worker's answer is due within microseconds.

Waking a process that sleeps takes 50 to 100 µs, as long as many predictions. The loop polls only while the last answer
came within the limit, so a model with longer calls costs nothing, and each turn of the loop yields the core.
"""

import asyncio
import os
import time

# A yield of the core takes about a microsecond, unless another thread runs meanwhile: a short time for a thread of the
# same conversation, and longer for other work.
_CORE_WANTED_SECONDS = 0.0001


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
        """Note that a worker got its only batch."""
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
        now = time.perf_counter()
        if self._is_due and now - self._sent_at < self._seconds:
            os.sched_yield()
            if time.perf_counter() - now < _CORE_WANTED_SECONDS:
                self._loop.call_soon(self._poll)
                return
        self._is_polling = False
