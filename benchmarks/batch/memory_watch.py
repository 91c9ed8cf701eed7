"""Watch the peak memory of the largest process during a block."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks.processes import forget_peaks, peak

_SECONDS = 0.1


class Largest:
    megabytes = 0.0


@contextmanager
def largest_process(processes: Callable[[], Sequence[int]]) -> Iterator[Largest]:
    """Poll the processes named by `processes`. The result is complete when the block ends."""
    largest = Largest()
    forget_peaks(processes())
    ended = threading.Event()

    def watch() -> None:
        while True:
            largest.megabytes = max([largest.megabytes, *(peak([pid]) for pid in processes())])
            if ended.wait(_SECONDS):
                return

    watching = threading.Thread(target=watch, name="memory-watch", daemon=True)
    watching.start()
    try:
        yield largest
    finally:
        ended.set()
        watching.join()
