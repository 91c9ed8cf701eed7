"""Parquet output with a typed column for each value of a prediction.

Row groups end at a number of rows or bytes, not where a part ends, so that the mini-batches do not show in the file.
"""

import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_plane.batch.output.column_text import utf8
from data_plane.batch.output.column_types import as_type, common_type, spooled, types_of
from data_plane.batch.output.columns import FILE, ROW, collect_columns, headings, row_numbers
from data_plane.batch.output.predictions import Columns, Predictions, named_columns
from data_plane.batch.output.sections import ColumnId, Section, read_all_sections
from modelyard.core.ports.object_store import ObjectStore

_GROUP_ROWS = 1 << 18
_GROUP_BYTES = 32 << 20
_FILES = pa.dictionary(pa.int32(), pa.string())


class ParquetWriter:
    """A part's blocks are Arrow batches whose prediction columns are numbered: the section list has their names."""

    has_sections = True

    def columns(self, predictions: Predictions, rows: int, output_names: Sequence[str]) -> Columns:
        return named_columns(predictions, output_names)

    def encode(self, file: str, first_row: int, rows: int, columns: Columns) -> pa.RecordBatch:
        files = pa.repeat(utf8(file).decode(), rows)
        arrays = [row_numbers(first_row, rows), files, *(spooled(values) for _, values in columns)]
        names = [ROW, FILE, *map(str, range(len(columns)))]
        return pa.RecordBatch.from_arrays(arrays, names)

    def size(self, block: pa.RecordBatch) -> int:
        return int(block.nbytes)

    def can_share_section(self, block: pa.RecordBatch, other: pa.RecordBatch) -> bool:
        return bool(block.schema == other.schema)

    def join(self, blocks: Sequence[pa.RecordBatch]) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, blocks[0].schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
            stream.write_table(pa.Table.from_batches(blocks).combine_chunks())
        return bytes(sink.getvalue())

    def column_types(self, columns: Columns) -> list[frozenset[str]]:
        return [types_of(values) for _, values in columns]

    def assemble(self, store: ObjectStore, part_keys: Sequence[str]) -> Iterator[bytes]:
        sections = read_all_sections(store, part_keys)
        columns = collect_columns(sections)
        types = [pa.int64(), *map(common_type, columns.values()), pa.string()]
        plain = pa.schema(list(zip(headings(columns), types, strict=True)))
        schema = plain.set(len(types) - 1, pa.field(FILE, _FILES))
        sink = _DrainedFile()
        with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            for group in _groups(_table(store, section, tuple(columns), plain) for section in sections):
                writer.write_table(_with_dictionary(group, schema), row_group_size=len(group))
                yield sink.drain()
        yield sink.drain()


def _table(store: ObjectStore, section: Section, ids: Sequence[ColumnId], schema: pa.Schema) -> pa.Table:
    """Return a section's rows in the output's columns."""
    with pa.ipc.open_stream(b"".join(section.content(store))) as stream:
        table = stream.read_all().combine_chunks()
    positions = {column: str(position) for position, column in enumerate(section.ids)}
    arrays = [_chunk(table, ROW)]
    for column, field in zip(ids, list(schema)[1:-1], strict=True):
        known = positions.get(column)
        arrays.append(pa.nulls(len(table), field.type) if known is None else as_type(_chunk(table, known), field.type))
    return pa.Table.from_arrays([*arrays, _chunk(table, FILE)], schema=schema)


def _chunk(table: pa.Table, name: str) -> pa.Array:
    """Return a column of a section: a section is one chunk."""
    return table.column(name).chunk(0)


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    rows = size = 0
    for table in tables:
        while len(table):
            taken = _rows_until_full(table, _GROUP_ROWS - rows, _GROUP_BYTES - size)
            waiting.append(table.slice(0, taken))
            rows, size = rows + taken, size + int(_row_sizes(waiting[-1]).sum())
            table = table.slice(taken)
            if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
                yield pa.concat_tables(waiting).combine_chunks()
                waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _rows_until_full(table: pa.Table, rows: int, size: int) -> int:
    """Return how many of the table's rows complete the group; the row that reaches a bound is the last."""
    sizes = np.cumsum(_row_sizes(table.slice(0, rows)))
    return min(len(sizes), int(np.searchsorted(sizes, size)) + 1)


def _row_sizes(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the bytes of each row in memory, without the null bitmaps."""
    sizes = np.zeros(len(table), np.int64)
    for column in table.columns:
        if pa.types.is_primitive(column.type):
            sizes += max(1, column.type.bit_width // 8)
        else:
            sizes += pc.fill_null(pc.binary_length(column), 0).to_numpy()
    return sizes


def _with_dictionary(group: pa.Table, schema: pa.Schema) -> pa.Table:
    files = pc.dictionary_encode(group.column(FILE).combine_chunks())
    return group.set_column(len(schema) - 1, schema.field(FILE), files).cast(schema)


class _DrainedFile(io.RawIOBase):
    """A write-only file whose content is drained while it is written."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self._waiting.append(bytes(memoryview(data)))  # type: ignore[arg-type]
        self._written += len(self._waiting[-1])
        return len(self._waiting[-1])

    def tell(self) -> int:
        return self._written

    def drain(self) -> bytes:
        content, self._waiting = b"".join(self._waiting), []
        return content
