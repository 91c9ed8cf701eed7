"""Parquet files to chunks: whole files, or some of their row groups."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pyarrow
import pyarrow.compute
import pyarrow.parquet

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input.chunks import Chunk, enforce_table
from data_plane.batch.input.object_bytes import SeekableObject
from data_plane.batch.input.spans import Span
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import CompiledSignature
from data_plane.scoring.tables.pandas_index import index_fields
from data_plane.scoring.tables.parquet_frames import frame_table
from modelyard.core.ports.object_store import ObjectStore

_READ_AHEAD = 1 << 20
_SPAN_BYTES = 8 << 20
"""Decompressed."""
_MAX_VALUES = 1_000_000
_DECODED_BYTES = 64 << 20
"""Of the texts of one chunk."""
_LARGEST_WHOLE = 4 << 30
"""Of a file for a model that needs all rows in one call."""


def read_parquet(store: ObjectStore, span: Span, signature: CompiledSignature) -> Iterator[Chunk]:
    row = span.first_row
    declared = {str(spec.name) for spec in signature.inputs}
    for read in _tables(store, span, is_whole=span.is_whole or not signature.inputs):
        if len(read):
            with _as_unreadable_file():
                table = frame_table(read, index_fields(read.schema.metadata), declared, row)
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
        texts = _texts_with_a_dictionary(file)
        if texts:
            file = pyarrow.parquet.ParquetFile(
                SeekableObject(store, key),
                metadata=file.metadata,
                read_dictionary=texts,
                buffer_size=_READ_AHEAD,
                pre_buffer=False,
            )
    with file:
        yield file


def _texts_with_a_dictionary(file: pyarrow.parquet.ParquetFile) -> list[str]:
    """The flat columns whose texts a file may repeat by number: a file of 1 kB can have a million texts of 1 MB."""
    metadata, schema = file.metadata, file.metadata.schema
    flat = {
        place: schema.column(place).path
        for place in range(metadata.num_columns)
        if schema.column(place).physical_type == "BYTE_ARRAY" and "." not in schema.column(place).path
    }
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [path for place, path in flat.items() if any(group.column(place).has_dictionary_page for group in groups)]


def _tables(store: ObjectStore, span: Span, *, is_whole: bool) -> Iterator[pyarrow.Table]:
    with _open(store, span.key) as file:
        groups = range(span.start, file.num_row_groups if span.end is None else span.end)
        if is_whole:
            with _as_unreadable_file():
                _check_whole(file.metadata)
                table = file.read_row_groups(groups, use_threads=False)
                _check_size(_decoded_bytes(table))
            yield table
            return
        with _as_unreadable_file():
            batches = file.iter_batches(_rows_per_chunk(file.metadata), row_groups=groups, use_threads=False)
        while True:
            with _as_unreadable_file():
                batch = next(batches, None)
            if batch is None:
                return
            yield from _decoded_slices(pyarrow.Table.from_batches([batch], batch.schema))


def _check_whole(metadata: pyarrow.parquet.FileMetaData) -> None:
    declared = sum(metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups))
    _check_size(max(declared, metadata.num_rows * metadata.num_columns))


def _check_size(size: int) -> None:
    if size > _LARGEST_WHOLE:
        raise UnreadableFile(
            f"the file unpacks to {size} bytes, and a model that needs the whole file at once gets at most "
            f"{_LARGEST_WHOLE}: write smaller files"
        )


def _decoded_slices(table: pyarrow.Table) -> Iterator[pyarrow.Table]:
    """Split the table until the texts of each slice fit."""
    with _as_unreadable_file():
        fits = len(table) <= 1 or _decoded_bytes(table) <= _DECODED_BYTES
    if fits:
        yield table
        return
    half = len(table) // 2
    yield from _decoded_slices(table.slice(0, half))
    yield from _decoded_slices(table.slice(half))


def _decoded_bytes(table: pyarrow.Table) -> int:
    return sum(_text_bytes(chunk) for column in _dictionary_columns(table) for chunk in table.column(column).chunks)


def _text_bytes(chunk: pyarrow.DictionaryArray) -> int:
    lengths = pyarrow.compute.binary_length(chunk.dictionary).cast(pyarrow.int64())
    return int(pyarrow.compute.sum(lengths.take(chunk.indices)).as_py() or 0)


def _dictionary_columns(table: pyarrow.Table) -> list[int]:
    types = pyarrow.types
    return [
        place
        for place, field in enumerate(table.schema)
        if types.is_dictionary(field.type)
        and (types.is_string(field.type.value_type) or types.is_binary(field.type.value_type))
    ]


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
    except MemoryError:
        raise UnreadableFile("the file unpacks to more than fits into memory: write smaller row groups") from None
    # Malformed column names and metadata raise the last three.
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, AttributeError) as error:
        raise UnreadableFile(f"the file is damaged, or is not a Parquet file: {error}") from None
