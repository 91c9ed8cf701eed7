"""Parquet with a typed column per value of a prediction.

Row groups end where the rows themselves say, at a number of rows or of bytes, and not where a part ends.
"""

import io
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_plane.batch.writing.blocks import FILE, ROW
from data_plane.batch.writing.headings import column_kinds, headings
from data_plane.batch.writing.kinds import as_type, common_type
from data_plane.batch.writing.sections import ColumnId, Section
from modelyard.core.ports.object_store import ObjectStore

_GROUP_ROWS = 1 << 18
_GROUP_BYTES = 32 << 20
_FILES = pa.dictionary(pa.int32(), pa.string())


def parquet(store: ObjectStore, sections: Sequence[Section]) -> Iterator[bytes]:
    kinds = column_kinds(sections)
    types = [pa.int64(), *map(common_type, kinds.values()), pa.string()]
    plain = pa.schema(list(zip(headings(kinds), types, strict=True)))
    schema = plain.set(len(types) - 1, pa.field(FILE, _FILES))
    sink = _Drained()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for group in _groups(_table(store, section, tuple(kinds), plain) for section in sections):
            writer.write_table(_with_dictionary(group, schema), row_group_size=len(group))
            yield sink.taken()
    yield sink.taken()


def _table(store: ObjectStore, section: Section, ids: Sequence[ColumnId], schema: pa.Schema) -> pa.Table:
    """A section's rows in the output's columns."""
    with pa.ipc.open_stream(b"".join(section.content(store))) as stream:
        table = stream.read_all().combine_chunks()
    places = {column: str(place) for place, column in enumerate(section.ids)}
    arrays = [_chunk(table, ROW)]
    for column, field in zip(ids, list(schema)[1:-1], strict=True):
        known = places.get(column)
        arrays.append(pa.nulls(len(table), field.type) if known is None else as_type(_chunk(table, known), field.type))
    return pa.Table.from_arrays([*arrays, _chunk(table, FILE)], schema=schema)


def _chunk(table: pa.Table, name: str) -> pa.Array:
    """A section is one batch."""
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
    """How many of its rows end the group: the row that reaches the bound is the group's last."""
    sizes = np.cumsum(_row_sizes(table.slice(0, rows)))
    return min(len(sizes), int(np.searchsorted(sizes, size)) + 1)


def _row_sizes(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Bytes of each row in memory, but for the marks of what is missing."""
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


class _Drained(io.RawIOBase):
    """What is written to it may be taken from it."""

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

    def taken(self) -> bytes:
        taken, self._waiting = b"".join(self._waiting), []
        return taken
