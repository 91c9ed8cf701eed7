"""Splits a large CSV file in one pass: the parts' boundaries and rows, and the types of the columns."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow

from data_plane.batch.input import text_blocks
from data_plane.batch.input.csv_blocks import Layout, layout_of, read_texts
from data_plane.batch.input.csv_boundaries import last_end, plain_blocks, row_count
from data_plane.batch.input.csv_reader import check_rest, split_header
from data_plane.batch.input.number_columns import plain_kind
from data_plane.batch.input.object_bytes import mark_length, text_of
from data_plane.batch.input.spans import Span
from data_plane.scoring.signature import CompiledSignature
from data_plane.scoring.signature.inferred import common_type, resolve_type, type_of_texts
from data_plane.scoring.tables.arrow_columns import python_values
from data_plane.scoring.types import LogicalType
from modelyard.core.ports.object_store import ObjectStore


def split_csv(store: ObjectStore, whole: Span, signature: CompiledSignature) -> list[Span]:
    """Split the file into spans. Raises UnreadableFile."""
    mark = mark_length(b"".join(store.get(whole.key, length=4)))
    header, _ = split_header(store, whole)
    layout = layout_of(header, signature)
    types = None if signature.inputs else _Types(layout)
    header_end = mark + len(header)
    spans: list[Span] = []
    place, row = header_end, 0
    for length, rows in _lengths_and_rows(store, replace(whole, start=place), layout, types):
        if rows:
            end = place + length
            spans.append(replace(whole, start=place, end=end, header_end=header_end, first_row=row, rows=rows))
        place, row = place + length, row + rows
    return [replace(span, kinds=types.kinds()) for span in spans] if types else spans


def _lengths_and_rows(
    store: ObjectStore, body: Span, layout: Layout, types: "_Types | None"
) -> Iterator[tuple[int, int]]:
    """Yield the bytes and rows of each block behind the header."""
    counted = row = 0
    if types is None:
        for length, rows in plain_blocks(text_of(store, body), text_blocks.BLOCK_BYTES):
            counted += length
            yield length, rows
    rest = text_of(store, replace(body, start=body.start + counted))
    for block in text_blocks.blocks(rest, last_end, text_blocks.BLOCK_BYTES, check_rest):
        rows = row_count(block, len(layout.names))
        if types and rows:
            types.add(block, row)
        yield len(block), rows
        row += rows


class _Types:
    """The columns' types as pandas infers them from all rows of the file."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._kinds: list[LogicalType | None] = [None] * len(layout.names)
        self._is_any_missing = [False] * len(layout.names)

    def add(self, block: bytes, first_row: int) -> None:
        for place, column in enumerate(read_texts(block, self._layout, first_row).columns):
            self._is_any_missing[place] |= bool(column.null_count)
            for texts in column.chunks:
                self._kinds[place] = common_type(self._kinds[place], _kind(texts))

    def kinds(self) -> tuple[str, ...]:
        return tuple(
            resolve_type(kind, is_any_missing=missing)
            for kind, missing in zip(self._kinds, self._is_any_missing, strict=True)
        )


def _kind(texts: pyarrow.Array) -> LogicalType | None:
    return plain_kind(texts) or type_of_texts(python_values(pyarrow.chunked_array([texts.drop_null()])))
