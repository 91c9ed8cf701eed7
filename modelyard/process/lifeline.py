"""The lifeline: a pipe whose only write end the supervisor holds. It reaches its end when the supervisor has ended."""

import os
import select
import threading
from collections.abc import Callable


def when_cut(lifeline: int, then: Callable[[], object]) -> None:
    """Call `then` once, from a thread of its own, when every writer of the pipe has died.

    Nobody may put the pipe into non-blocking mode, as an event loop does with what it watches: all processes share it.
    The wait is a poll, so that even then nobody misses the end.
    """
    # What this process starts gets it only where it is handed on by name.
    os.set_inheritable(lifeline, False)

    def wait() -> None:
        events = select.poll()
        events.register(lifeline, select.POLLIN)
        events.poll()
        then()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
