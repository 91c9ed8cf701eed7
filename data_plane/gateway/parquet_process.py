"""Parquet files to Arrow streams, each in a process that may fail (see `parquet_program.py`)."""

import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.tables.table_limits import MOST_BYTES, MOST_VALUES

_PROGRAM = Path(__file__).with_name("parquet_program.py")
_COMMAND = [sys.executable, "-I", str(_PROGRAM), str(MOST_VALUES), str(MOST_BYTES)]
_MOST_AT_ONCE = 2
_TIMEOUT_SECONDS = 60
_REFUSED = 1


class ParquetProcess:
    """A ParquetToArrow for threads. Blocks until the file is read.

    A request starts the process for the next request, so that only the first request waits for a start. The process
    in reserve ends with the gateway, because its standard input ends.
    """

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._reserve: subprocess.Popen[bytes] | None = None

    def __call__(self, body: bytes) -> bytes:
        with self._turns:
            return _arrow_stream(self._take(), body)

    def _take(self) -> "subprocess.Popen[bytes]":
        with self._lock:
            ready, self._reserve = self._reserve or _start(), _start()
            return ready


def _start() -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen(_COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env={})


def _arrow_stream(process: "subprocess.Popen[bytes]", body: bytes) -> bytes:
    with process:
        try:
            output, _ = process.communicate(body, _TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise InvalidBody("the Parquet file took too long to read: send fewer rows per request") from None
        finally:
            with suppress(ProcessLookupError):
                process.kill()
    if process.returncode == _REFUSED:
        raise InvalidBody(output.decode(errors="replace"))
    if process.returncode != 0:
        raise InvalidBody("the Parquet file is damaged, or takes too much memory to read")
    return output
