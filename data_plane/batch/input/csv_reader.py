"""CSV files, whole or in parts, to chunks. CSV has commas, a header in the first line, and UTF-8."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

import pyarrow

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input import text_blocks
from data_plane.batch.input.chunks import Chunk, enforce_table
from data_plane.batch.input.csv_blocks import Layout, layout_of, read_block, read_texts, table_of
from data_plane.batch.input.csv_boundaries import ends_in_quotes, header_end, last_end
from data_plane.batch.input.object_bytes import text_of
from data_plane.batch.input.real_csv_blocks import real_table
from data_plane.batch.input.small_csv_blocks import small_table
from data_plane.batch.input.spans import Span
from data_plane.scoring.signature import CompiledSignature, Enforced, SignatureViolations, Table
from modelyard.core.ports.object_store import ObjectStore

_Reader = Callable[[bytes, Layout, int], pyarrow.Table]


def read_csv(store: ObjectStore, span: Span, signature: CompiledSignature) -> Iterator[Chunk]:
    header, blocks = header_and_blocks(store, span)
    if not header.strip():
        return
    layout = layout_of(header, signature)
    if span.is_whole or not (signature.inputs or span.kinds):
        first = list(islice(blocks, 2))
        blocks = chain(first, blocks)
        # Without a signature the type of a column is known only after its last row.
        if len(first) > 1 or not signature.inputs:
            yield from _whole(blocks, lambda: header_and_blocks(store, span)[1], layout, signature)
            return
    row = span.first_row
    for block in blocks:
        table = real_table(block, layout) or small_table(block, layout)
        table = table or table_of([read_block(block, layout, row)], layout, span.kinds)
        if table.rows:
            yield Chunk(row, table.rows, _enforce(block, table, layout, signature, row))
        row += table.rows


def header_and_blocks(store: ObjectStore, span: Span) -> tuple[bytes, Iterator[bytes]]:
    """Return the header, and the following lines in blocks. Raises UnreadableFile."""
    if span.header_end:
        header = b"".join(text_of(store, replace(span, start=0, end=span.header_end)))
        # A part of a file is one block.
        return header, iter([b"".join(text_of(store, span))])
    return split_header(store, span)


def split_header(store: ObjectStore, span: Span) -> tuple[bytes, Iterator[bytes]]:
    """Split a whole file. Often only the header has quotes, and lines without quotes are read faster."""
    header, rest = text_blocks.first_record(text_of(store, span), header_end, check_rest)
    return header, text_blocks.blocks(rest, last_end, text_blocks.BLOCK_BYTES, check_rest)


def check_rest(rest: bytes) -> None:
    """Raise UnreadableFile for a file that ends within quotes: the upload was probably cut off."""
    if ends_in_quotes(rest):
        raise UnreadableFile("the file ends inside of quotes: it may be cut off")


def _enforce(block: bytes, table: Table, layout: Layout, signature: CompiledSignature, row: int) -> Enforced:
    try:
        return enforce_table(signature, table, row)
    except SignatureViolations:
        # The messages quote the values as text.
        return enforce_table(signature, table_of([read_texts(block, layout, row)], layout, as_texts=True), row)


def _whole(
    blocks: Iterable[bytes], again: Callable[[], Iterable[bytes]], layout: Layout, signature: CompiledSignature
) -> Iterator[Chunk]:
    read = _read_all(blocks, layout, read_block if signature.inputs else read_texts)
    rows = sum(map(len, read))
    if not rows:
        return
    try:
        enforced = enforce_table(signature, table_of(read, layout), 0)
    except SignatureViolations:
        del read
        enforced = enforce_table(signature, table_of(_read_all(again(), layout, read_texts), layout, as_texts=True), 0)
    yield Chunk(0, rows, enforced)


def _read_all(blocks: Iterable[bytes], layout: Layout, reader: _Reader) -> list[pyarrow.Table]:
    read: list[pyarrow.Table] = []
    row = 0
    for block in blocks:
        read.append(reader(block, layout, row))
        row += len(read[-1])
    return read
