"""The lifeline: a pipe with the only write end in the supervisor. The pipe ends with the supervisor."""

import os
import select
import threading
from collections.abc import Callable


def when_cut(lifeline: int, then: Callable[[], object]) -> None:
    """Call `then` once, from a separate thread, when every writer of the pipe has died.

    All processes share the pipe, and an event loop in one of them makes it non-blocking for all. The wait is a poll,
    which works on a non-blocking pipe too.
    """
    # A child process inherits the pipe only where the caller passes the descriptor.
    os.set_inheritable(lifeline, False)

    def wait() -> None:
        events = select.poll()
        events.register(lifeline, select.POLLIN)
        events.poll()
        then()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
