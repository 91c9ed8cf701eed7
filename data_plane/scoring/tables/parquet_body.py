"""Parquet as `DataFrame.to_parquet` writes it, unpacked by a process that may fail (see `parquet_program.py`)."""

import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pyarrow

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import CompiledSignature
from data_plane.scoring.signature.table import Table
from data_plane.scoring.tables.arrow_columns import typed_column
from data_plane.scoring.tables.table_limits import MOST_BYTES, MOST_VALUES

_PROGRAM = Path(__file__).with_name("parquet_program.py")
_COMMAND = [sys.executable, "-I", str(_PROGRAM), str(MOST_VALUES), str(MOST_BYTES)]
_MAGIC = b"PAR1"
_MOST_AT_ONCE = 2
_PATIENCE_SECONDS = 60
_REFUSED = 1


class ParquetReader:
    """Starts the process for the next file when it takes up one, so that only the first has to wait for a start.

    They end by themselves when this process does: their standard input ends.
    """

    def __init__(self) -> None:
        self._turns = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._lock = threading.Lock()
        self._next: subprocess.Popen[bytes] | None = None

    def read(self, body: bytes, signature: CompiledSignature) -> Table:
        if body[:4] != _MAGIC or body[-4:] != _MAGIC:
            raise InvalidBody("the body is no Parquet file, or not the whole of one")
        with self._turns:
            stream = _unpacked(self._take(), body)
        return _table(pyarrow.ipc.open_stream(stream).read_all(), {str(spec.name) for spec in signature.inputs})

    def _take(self) -> "subprocess.Popen[bytes]":
        with self._lock:
            ready, self._next = self._next or _start(), _start()
            return ready


def _start() -> "subprocess.Popen[bytes]":
    pipe = subprocess.PIPE
    return subprocess.Popen(_COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env={})


def _unpacked(process: "subprocess.Popen[bytes]", body: bytes) -> bytes:
    """The file as an Arrow stream."""
    with process:
        try:
            output, _ = process.communicate(body, _PATIENCE_SECONDS)
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


def _table(read: pyarrow.Table, declared: set[str]) -> Table:
    index = set(json.loads(read.schema.metadata[b"index"]))
    kept = [(name, column) for name, column in zip(read.column_names, read.columns, strict=True)]
    kept = [(name, column) for name, column in kept if name in declared or name not in index]
    columns = tuple(typed_column(name, column) for name, column in kept)
    return Table(tuple(name for name, _ in kept), columns, read.num_rows)
