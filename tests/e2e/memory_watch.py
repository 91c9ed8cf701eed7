"""Growth of the memory of each process during a block."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

_SECONDS = 0.05
_MB = 1e6


class Growth:
    """Largest resident memory of every process seen; a process that starts meanwhile grows from 0."""

    def __init__(self, processes: Callable[[], list[psutil.Process]]) -> None:
        self._processes = processes
        self._idle: dict[int, int] = {}
        self._largest: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._look()
        self._idle = dict(self._largest)

    @property
    def megabytes(self) -> dict[str, float]:
        """Growth by pid and command line."""
        return {
            f"{pid} {self._names[pid]}": (largest - self._idle.get(pid, 0)) / _MB
            for pid, largest in self._largest.items()
        }

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look every 50 ms for the length of the block."""
        ended = threading.Event()
        watching = threading.Thread(target=self._look_until, args=[ended])
        watching.start()
        try:
            yield
        finally:
            ended.set()
            watching.join()

    def _look_until(self, ended: threading.Event) -> None:
        while not ended.wait(_SECONDS):
            self._look()

    def _look(self) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                size = process.memory_info().rss
                self._names.setdefault(process.pid, " ".join(process.cmdline()))
                self._largest[process.pid] = max(size, self._largest.get(process.pid, 0))
