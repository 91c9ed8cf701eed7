"""Ends a build's programs when its lease is lost: what they make would count for nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from builder.supervised_process import Lifeline
from modelyard.core.db.leases import Heartbeat, LeaseLost

_LOOK_SECONDS = 0.5


@contextmanager
def cut_when_lost(beating: Heartbeat, alive: Lifeline) -> Iterator[None]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            try:
                beating.check()
            except LeaseLost:
                alive.cut()
                return

    watching = threading.Thread(target=watch, name="lease-watch", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
