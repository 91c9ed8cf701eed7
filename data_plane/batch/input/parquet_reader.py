"""Parquet files to chunks: whole files, or some of their row groups."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow
import pyarrow.parquet

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input.chunks import Chunk, enforce_table
from data_plane.batch.input.object_bytes import SeekableObject
from data_plane.batch.input.spans import Span
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import CompiledSignature, Table
from data_plane.scoring.tables.arrow_columns import typed_column
from modelyard.core.ports.object_store import ObjectStore

_READ_AHEAD = 1 << 20
_SPAN_BYTES = 8 << 20
"""Decompressed."""
_MAX_VALUES = 1_000_000


def read_parquet(store: ObjectStore, span: Span, signature: CompiledSignature) -> Iterator[Chunk]:
    row = span.first_row
    for read in _tables(store, span, is_whole=span.is_whole or not signature.inputs):
        if len(read):
            with _as_unreadable_file():
                table = _table(read, signature)
            yield Chunk(row, len(read), enforce_table(signature, table, row))
        row += len(read)


def split_parquet(store: ObjectStore, whole: Span) -> Iterator[Span]:
    """Split the file into spans of row groups. Raises UnreadableFile."""
    with _open(store, whole.key) as file, _as_unreadable_file():
        groups = [file.metadata.row_group(place) for place in range(file.num_row_groups)]
    start = rows = size = row = 0
    for place, group in enumerate(groups, start=1):
        rows, size = rows + group.num_rows, size + group.total_byte_size
        if size >= _SPAN_BYTES or place == len(groups):
            if rows:
                yield replace(whole, start=start, end=place, first_row=row, rows=rows)
            start, row, rows, size = place, row + rows, 0, 0


@contextmanager
def _open(store: ObjectStore, key: str) -> Iterator[pyarrow.parquet.ParquetFile]:
    with _as_unreadable_file():
        file = pyarrow.parquet.ParquetFile(SeekableObject(store, key), buffer_size=_READ_AHEAD, pre_buffer=False)
    with file:
        yield file


def _tables(store: ObjectStore, span: Span, *, is_whole: bool) -> Iterator[pyarrow.Table]:
    with _open(store, span.key) as file:
        groups = range(span.start, file.num_row_groups if span.end is None else span.end)
        if is_whole:
            with _as_unreadable_file():
                table = file.read_row_groups(groups, use_threads=False)
            yield table
            return
        with _as_unreadable_file():
            batches = file.iter_batches(_rows_per_chunk(file.metadata), row_groups=groups, use_threads=False)
        while True:
            with _as_unreadable_file():
                batch = next(batches, None)
            if batch is None:
                return
            yield pyarrow.Table.from_batches([batch], batch.schema)


def _rows_per_chunk(metadata: pyarrow.parquet.FileMetaData) -> int:
    """Return a number of rows to bound a chunk, by the columns and by the size of the values."""
    size = sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
    by_size: int = _SPAN_BYTES * metadata.num_rows // max(1, size)
    by_count: int = _MAX_VALUES // max(1, metadata.num_columns)
    return max(1, min(by_count, by_size))


@contextmanager
def _as_unreadable_file() -> Iterator[None]:
    try:
        yield
    except InvalidBody as invalid:
        raise UnreadableFile(invalid.message) from None
    # Malformed column names and metadata raise the last three.
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableFile(f"the file is damaged, or is not a Parquet file: {error}") from None


def _table(read: pyarrow.Table, signature: CompiledSignature) -> Table:
    """Build a table. A column that pandas marked as an index is left out, unless the model declares the column."""
    marked = json.loads((read.schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    declared = {str(spec.name) for spec in signature.inputs}
    index = [name for name in read.column_names if name in marked]
    names = [name for name in read.column_names if name not in index]
    names += [name for name in index if name in declared]
    return Table(tuple(names), tuple(typed_column(name, read.column(name)) for name in names), len(read))
