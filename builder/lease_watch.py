"""Ends a build's programs when its lease is lost: what they make would count for nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from builder.supervised_process import CancellationToken
from modelyard.core.db.leases import Heartbeat, LeaseLost

_LOOK_SECONDS = 0.5


@contextmanager
def cancel_when_lease_lost(beating: Heartbeat, alive: CancellationToken) -> Iterator[None]:
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            try:
                beating.check()
            except LeaseLost:
                alive.cancel()
                return

    watching = threading.Thread(target=watch, name="lease-watch", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
