"""The log and the cancellation of a build, shared by all its steps."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

from modelyard.core.domain.declared_text import mask_credentials
from modelyard.core.domain.operation_step import OperationStep

# A shorter value stands in other words too.
_SHORTEST_HIDDEN = 4


class BuildCancelled(Exception):
    """The build was cancelled. All programs have ended, and unfinished results are removed."""


class CancellationToken:
    """Cancels a build, from any thread.

    The token is a pipe. The programs of the build run under process shims with `read_end`; the builder alone
    holds the write end. The programs therefore end when the build is cancelled, and also when the builder dies.
    """

    def __init__(self) -> None:
        self.read_end, self._write_end = os.pipe()
        self._lock = threading.Lock()
        self._write_end_is_closed = False
        self.is_cancelled = False

    def cancel(self) -> None:
        """End every program of the build. Further calls have no effect."""
        self.is_cancelled = True
        self._close_write_end()

    def raise_if_cancelled(self) -> None:
        if self.is_cancelled:
            raise BuildCancelled

    def close(self) -> None:
        self._close_write_end()
        os.close(self.read_end)

    def _close_write_end(self) -> None:
        with self._lock:
            if not self._write_end_is_closed:
                self._write_end_is_closed = True
                os.close(self._write_end)


@contextmanager
def cancellation_token() -> Iterator[CancellationToken]:
    """A token for the length of the block; the programs of the build end with the block."""
    token = CancellationToken()
    try:
        yield token
    finally:
        token.close()


class BuildLog:
    """The lines and steps of a build. User names and passwords in URLs are masked."""

    def __init__(
        self, write: Callable[[str], None], record_step: Callable[[OperationStep], None] = lambda step: None
    ) -> None:
        """`write` takes a line; `record_step` takes each step at its beginning."""
        self._write = write
        self._record_step = record_step
        self._notes: set[str] = set()
        self._hidden: dict[str, str] = {}

    def line(self, text: str) -> None:
        self._write(self.masked(text))

    def hide(self, variables: Mapping[str, str]) -> None:
        """From now on, write `${NAME}` for the value of each variable."""
        for name, value in variables.items():
            if len(value) >= _SHORTEST_HIDDEN:
                self._hidden |= dict.fromkeys((value, quote(value, safe="")), f"${{{name}}}")

    def masked(self, text: str) -> str:
        for value, name in self._hidden.items():
            text = text.replace(value, name)
        return mask_credentials(text)

    def note(self, text: str) -> None:
        """Write a line about the whole build, once, however often the steps repeat it."""
        if text not in self._notes:
            self._notes.add(text)
            self.line(text)

    def begin(self, step: OperationStep) -> None:
        self.line(f"step: {step}")
        self._record_step(step)


@dataclass(frozen=True, slots=True)
class BuildRun:
    """An attempt to build or restore an environment."""

    log: BuildLog
    cancellation: CancellationToken
