"""Some rows of one file with their predictions, encoded as lines of CSV or as an Arrow batch."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from data_plane.batch.writing.answers import Columns
from data_plane.batch.writing.kinds import kinds_of, stored
from data_plane.batch.writing.texts import csv_texts, joined, literal, needs_quotes, quoted, quoted_field, utf8

ROW, FILE = "row", "file"


class Encoder(Protocol):
    def encode(self, file: str, first_row: int, rows: int, columns: Columns) -> Any: ...

    def size(self, block: Any) -> int:
        """Bytes, about."""

    def alike(self, block: Any, other: Any) -> bool:
        """Whether both can stand in one section, their columns having the same names."""

    def join(self, blocks: Sequence[Any]) -> bytes: ...

    def kinds(self, columns: Columns) -> list[frozenset[str]]: ...


class CsvEncoder:
    def encode(self, file: str, first_row: int, rows: int, columns: Columns) -> bytes:
        fields: list[Any] = [csv_texts(_row_numbers(first_row, rows))]
        for _, values in columns:
            texts = csv_texts(values)
            fields.append(quoted(texts) if needs_quotes(values) else texts)
        lines = joined(*fields, literal(quoted_field(base_name(file)) + b"\n"), by=b",")
        # The lines lie behind each other as they are to be written.
        return bytes(lines.buffers()[2]) if rows else b""

    def size(self, block: bytes) -> int:
        return len(block)

    def alike(self, block: bytes, other: bytes) -> bool:
        return True

    def join(self, blocks: Sequence[bytes]) -> bytes:
        return b"".join(blocks)

    def kinds(self, columns: Columns) -> list[frozenset[str]]:
        """Text tells nothing of them, and needs nothing."""
        return [frozenset()] * len(columns)


class ArrowEncoder:
    """Columns by number: their names stand in the section's list."""

    def encode(self, file: str, first_row: int, rows: int, columns: Columns) -> pa.RecordBatch:
        files = pa.repeat(utf8(base_name(file)).decode(), rows)
        arrays = [_row_numbers(first_row, rows), files, *(stored(values) for _, values in columns)]
        names = [ROW, FILE, *map(str, range(len(columns)))]
        return pa.RecordBatch.from_arrays(arrays, names)

    def size(self, block: pa.RecordBatch) -> int:
        return int(block.nbytes)

    def alike(self, block: pa.RecordBatch, other: pa.RecordBatch) -> bool:
        return bool(block.schema == other.schema)

    def join(self, blocks: Sequence[pa.RecordBatch]) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, blocks[0].schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
            stream.write_table(pa.Table.from_batches(blocks).combine_chunks())
        return bytes(sink.getvalue())

    def kinds(self, columns: Columns) -> list[frozenset[str]]:
        return [kinds_of(values) for _, values in columns]


def base_name(path: str) -> str:
    return PurePosixPath(path).name


def _row_numbers(first_row: int, rows: int) -> pa.Array:
    return pa.array(np.arange(first_row, first_row + rows, dtype=np.int64))
