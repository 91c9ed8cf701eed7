"""A coroutine that starts at once, in place of an asyncio task.

asyncio starts a task in the next turn of the event loop, calls the callbacks of its end in another turn, and keeps the
task in a weak set: a twentieth of a small request. Python 3.12 has eager tasks; the platform runs on 3.11 too.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class EagerTask:
    """Within the coroutine there is no current task, so asyncio.timeout, task groups and anyio do not work there."""

    __slots__ = ("_awaited", "_coroutine", "_is_done", "_must_cancel", "_on_end")

    def __init__(self, coroutine: Coroutine[Any, Any, None], on_end: Callable[["EagerTask"], object]) -> None:
        self._coroutine = coroutine
        self._on_end = on_end
        self._awaited: asyncio.Future[Any] | None = None
        self._must_cancel = False
        """Whether to raise CancelledError in the coroutine at the next step."""
        self._is_done = False

    def step(self, _awaited: object = None) -> None:
        """Run the coroutine to the next wait. Called once to start, and then by the futures that it waits for."""
        self._awaited = None
        try:
            if self._must_cancel:
                self._must_cancel = False
                awaited = self._coroutine.throw(asyncio.CancelledError())
            else:
                awaited = self._coroutine.send(None)
        except (StopIteration, asyncio.CancelledError):
            self._end()
        except BaseException:
            self._end()
            raise
        else:
            self._wait(awaited)

    def _wait(self, awaited: Any) -> None:
        if awaited is None:
            # asyncio.sleep(0): one turn of the event loop.
            asyncio.get_running_loop().call_soon(self.step)
            return
        # asyncio's own mark of a future that was awaited, and not yielded by mistake.
        awaited._asyncio_future_blocking = False
        awaited.add_done_callback(self.step)
        self._awaited = awaited
        if self._must_cancel and awaited.cancel():
            self._must_cancel = False

    def _end(self) -> None:
        self._is_done = True
        self._on_end(self)

    def done(self) -> bool:
        return self._is_done

    def cancel(self, msg: object = None) -> bool:
        """Raise CancelledError in the coroutine where it waits. Returns False for a coroutine that has ended."""
        if self._is_done:
            return False
        if self._awaited is None or not self._awaited.cancel(msg):
            self._must_cancel = True
        return True
