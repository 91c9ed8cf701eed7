"""Cancel a build whose lease is lost: another builder's result counts from then on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from builder.build_run import CancellationToken
from modelyard.core.db.leases import Heartbeat, LeaseLost

_POLL_SECONDS = 0.5


@contextmanager
def cancel_when_lease_lost(lease: Heartbeat, token: CancellationToken) -> Iterator[None]:
    """Watch the lease for the length of the block."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_POLL_SECONDS):
            try:
                lease.check()
            except LeaseLost:
                token.cancel()
                return

    watching = threading.Thread(target=watch, name="lease-watch", daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
