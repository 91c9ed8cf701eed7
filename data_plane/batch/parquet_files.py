"""Parquet files, whole or some row groups of them, to chunks."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow
import pyarrow.parquet

from data_plane.batch.chunks import Chunk, enforced
from data_plane.batch.contents import StoredFile
from data_plane.batch.failures import UnreadableFile
from data_plane.batch.spans import Span
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import CompiledSignature, Table
from data_plane.scoring.tables.arrow_columns import typed_column
from modelyard.core.ports.object_store import ObjectStore

_READ_AHEAD = 1 << 20
_BYTES_OF_A_SPAN = 8 << 20
"""Unpacked."""
_VALUES_AT_ONCE = 1_000_000


def read_parquet(store: ObjectStore, span: Span, signature: CompiledSignature) -> Iterator[Chunk]:
    row = span.first_row
    for read in _tables(store, span, is_whole=span.is_whole or not signature.inputs):
        if len(read):
            with _said_plainly():
                table = _table(read, signature)
            yield Chunk(row, len(read), enforced(signature, table, row))
        row += len(read)


def cut_parquet(store: ObjectStore, whole: Span) -> Iterator[Span]:
    """Some row groups each. Raises UnreadableFile."""
    with _opened(store, whole.key) as file, _said_plainly():
        groups = [file.metadata.row_group(place) for place in range(file.num_row_groups)]
    start = rows = size = row = 0
    for place, group in enumerate(groups, start=1):
        rows, size = rows + group.num_rows, size + group.total_byte_size
        if size >= _BYTES_OF_A_SPAN or place == len(groups):
            if rows:
                yield replace(whole, start=start, end=place, first_row=row, rows=rows)
            start, row, rows, size = place, row + rows, 0, 0


@contextmanager
def _opened(store: ObjectStore, key: str) -> Iterator[pyarrow.parquet.ParquetFile]:
    with _said_plainly():
        file = pyarrow.parquet.ParquetFile(StoredFile(store, key), buffer_size=_READ_AHEAD, pre_buffer=False)
    with file:
        yield file


def _tables(store: ObjectStore, span: Span, *, is_whole: bool) -> Iterator[pyarrow.Table]:
    with _opened(store, span.key) as file:
        groups = range(span.start, file.num_row_groups if span.end is None else span.end)
        if is_whole:
            with _said_plainly():
                table = file.read_row_groups(groups, use_threads=False)
            yield table
            return
        with _said_plainly():
            batches = file.iter_batches(_rows_at_once(file.metadata), row_groups=groups, use_threads=False)
        while True:
            with _said_plainly():
                batch = next(batches, None)
            if batch is None:
                return
            yield pyarrow.Table.from_batches([batch], batch.schema)


def _rows_at_once(metadata: pyarrow.parquet.FileMetaData) -> int:
    """Few enough for a chunk of the usual size, whether there are many columns or long values in them."""
    size = sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
    by_size: int = _BYTES_OF_A_SPAN * metadata.num_rows // max(1, size)
    by_count: int = _VALUES_AT_ONCE // max(1, metadata.num_columns)
    return max(1, min(by_count, by_size))


@contextmanager
def _said_plainly() -> Iterator[None]:
    try:
        yield
    except InvalidBody as refused:
        raise UnreadableFile(refused.message) from None
    # The last three come of names and notes that are none.
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableFile(f"the Parquet file is damaged, or none: {error}") from None


def _table(read: pyarrow.Table, signature: CompiledSignature) -> Table:
    """What pandas noted down as the frame's index is a column only for a model that declares it."""
    noted = json.loads((read.schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
    declared = {str(spec.name) for spec in signature.inputs}
    index = [name for name in read.column_names if name in noted]
    names = [name for name in read.column_names if name not in index]
    names += [name for name in index if name in declared]
    return Table(tuple(names), tuple(typed_column(name, read.column(name)) for name in names), len(read))
