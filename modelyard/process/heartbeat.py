"""Heartbeats: the modification time of a file shows that a process's main loop turns.

The supervisor replaces a process with an unchanged file. Outside `modelyard up`, a health check can look at the age of
the file, for example `test $(( $(date +%s) - $(stat -c %Y FILE) )) -lt 15`.
"""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

BEAT_SECONDS = 1.0
"""Longest pause between two beats of a main loop that turns."""
_SHORTEST_PAUSE_SECONDS = 0.25


class Heartbeat:
    """The heartbeat of this process. Without a path, every call does nothing."""

    def __init__(self, path: Path | None, *, idle_seconds: float = 0.0) -> None:
        """`idle_seconds`: how long the main thread may do nothing within `working` before the heartbeat stops."""
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._idle_seconds = idle_seconds
        self._beat_at = float("-inf")
        self._is_working = False
        self._watch: threading.Thread | None = None

    def beat(self) -> None:
        """Note a turn of the main loop. Cheap enough for every turn: touches the file at most four times a second."""
        now = time.monotonic()
        if self._file is None or now - self._beat_at < _SHORTEST_PAUSE_SECONDS:
            return
        self._beat_at = now
        # A full disk refuses no touch of an existing file; a broken disk must not end the process.
        with suppress(OSError):
            os.utime(self._file)

    async def follow_event_loop(self, step: Callable[[], Awaitable[object]] | None = None) -> None:
        """Beat for as long as the event loop turns and `step` returns."""
        while self._file is not None:
            if step is not None:
                await step()
            self.beat()
            await asyncio.sleep(BEAT_SECONDS)

    @contextmanager
    def working(self) -> Iterator[None]:
        """For the length of the block the main thread does long work and does not turn its loop."""
        self.begin_work()
        try:
            yield
        finally:
            self.end_work()

    def begin_work(self, **_: object) -> None:
        """Begin long work of the main thread. The signature fits Celery's signals.

        A thread beats during the work, but not while the main thread has taken no CPU time for `idle_seconds`.
        """
        if self._file is None:
            return
        self._is_working = True
        if self._watch is None:
            self._watch = threading.Thread(target=self._watch_work, name="heartbeat", daemon=True)
            self._watch.start()

    def end_work(self, **_: object) -> None:
        self._is_working = False
        self.beat()

    def _watch_work(self) -> None:
        used, moved_at = -1.0, time.monotonic()
        while True:
            now, seen = time.monotonic(), _cpu_seconds_of_main_thread()
            if seen is None or seen != used or not self._is_working:
                used, moved_at = seen or 0.0, now
            if self._is_working and now - moved_at < self._idle_seconds:
                self.beat()
            time.sleep(BEAT_SECONDS)


def _cpu_seconds_of_main_thread() -> float | None:
    """None where the system does not tell (macOS)."""
    main = threading.main_thread().ident
    clock_of = getattr(time, "pthread_getcpuclockid", None)
    if clock_of is None or main is None:
        return None
    return time.clock_gettime(clock_of(main))
