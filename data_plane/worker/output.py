"""The worker's log: the descriptors 1 and 2. Python's prints get a UTC time on each line.

Output of C code and child processes goes to the log unchanged.
"""

import contextlib
import faulthandler
import io
import os
import sys
import time
import traceback
from typing import Any

INFO = "I"
WARNING = "W"
ERROR = "E"

_LOG = 2


def take_over_prints() -> None:
    """Stamp every line that is written to `sys.stdout` and `sys.stderr`."""
    sys.stdout = _stamped(INFO, "stdout", descriptor=1)
    sys.stderr = _stamped(INFO, "stderr", descriptor=2)
    # Logs a traceback when a segmentation fault in a model's library ends the worker.
    faulthandler.enable(file=_LOG)


def log(level: str, message: str) -> None:
    """Write a record; only the first line of `message` is stamped."""
    _write((_stamp(level, "modelyard") + message.rstrip("\n") + "\n").encode("utf-8", "backslashreplace"))


def log_exception(message: str, error: BaseException) -> None:
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    log(ERROR, message + "\n" + "".join(lines))


def flush() -> None:
    """Write prints without a line end, which `os._exit` would lose."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            # User code may have replaced or closed the stream.
            stream.flush()


def _stamped(level: str, name: str, descriptor: int) -> io.TextIOWrapper:
    lines = _StampedLines(level, name, descriptor)
    return io.TextIOWrapper(lines, "utf-8", "backslashreplace", line_buffering=True)  # type: ignore[arg-type]


def _stamp(level: str, name: str) -> str:
    now = time.time()
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
    return "{},{:03d} {} [{}] {} - ".format(clock, int(now % 1 * 1000), level, os.getpid(), name)


def _write(data: bytes) -> None:
    try:
        while data:
            data = data[os.write(_LOG, data) :]
    except OSError:
        # A full disk must not fail a prediction.
        return


class _StampedLines(io.RawIOBase):
    """Writes bytes to the log, with a stamp before each line."""

    def __init__(self, level: str, name: str, descriptor: int) -> None:
        self._level = level
        self._name = name
        self._descriptor = descriptor
        self._within_line = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Return the log's descriptor, for child processes and C code."""
        return self._descriptor

    def write(self, data: Any) -> int:
        content = bytes(data)
        stamp = _stamp(self._level, self._name).encode()
        lines = content.splitlines(keepends=True)
        stamped = [stamp + line for line in lines]
        if lines and self._within_line:
            stamped[0] = lines[0]
        _write(b"".join(stamped))
        self._within_line = bool(content) and not content.endswith(b"\n")
        return len(content)
