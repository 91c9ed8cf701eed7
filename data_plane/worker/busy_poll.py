"""Busy polling, for both ends of a worker's connection: looking for the next message without sleeping."""

import os
import time

# A yield of the core takes about a microsecond, unless another thread runs meanwhile: a short time for a thread of the
# same conversation, and longer for other work.
_OTHER_WORK_SECONDS = 0.0001


def yield_core() -> bool:
    """Let another thread run. Returns whether the core has other work, so that polling must end."""
    before = time.perf_counter()
    os.sched_yield()
    return time.perf_counter() - before > _OTHER_WORK_SECONDS
