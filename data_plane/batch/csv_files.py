"""CSV files, whole or in parts, to chunks: a comma between values, a header in the first line, UTF-8."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

import pyarrow

from data_plane.batch import records
from data_plane.batch.chunks import Chunk, enforced
from data_plane.batch.contents import text_of
from data_plane.batch.csv_blocks import Layout, layout_of, read_block, read_texts, table_of
from data_plane.batch.csv_lines import ends_in_quotes, header_end, last_end
from data_plane.batch.failures import UnreadableFile
from data_plane.batch.small_blocks import small_table
from data_plane.batch.spans import Span
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
        # What no signature declares has its type when all of it has been seen.
        if len(first) > 1 or not signature.inputs:
            yield from _whole(blocks, lambda: header_and_blocks(store, span)[1], layout, signature)
            return
    row = span.first_row
    for block in blocks:
        table = small_table(block, layout) or table_of([read_block(block, layout, row)], layout, span.kinds)
        if table.rows:
            yield Chunk(row, table.rows, _enforced(block, table, layout, signature, row))
        row += table.rows


def header_and_blocks(store: ObjectStore, span: Span) -> tuple[bytes, Iterator[bytes]]:
    """The header's line, and the lines behind it in blocks. Raises UnreadableFile."""
    if span.header_end:
        header = b"".join(text_of(store, replace(span, start=0, end=span.header_end)))
        # It was cut to be read at once.
        return header, iter([b"".join(text_of(store, span))])
    return header_apart(store, span)


def header_apart(store: ObjectStore, span: Span) -> tuple[bytes, Iterator[bytes]]:
    """Of a whole file: its header is often all that is in quotes, and lines without any are read more quickly."""
    header, rest = records.first_record(text_of(store, span), header_end, check_rest)
    return header, records.blocks(rest, last_end, records.BLOCK_BYTES, check_rest)


def check_rest(rest: bytes) -> None:
    """The reader takes the end of the file for the end of a quote; it is more likely half a file."""
    if ends_in_quotes(rest):
        raise UnreadableFile("the file ends inside of quotes")


def _enforced(block: bytes, table: Table, layout: Layout, signature: CompiledSignature, row: int) -> Enforced:
    try:
        return enforced(signature, table, row)
    except SignatureViolations:
        # They say what came, and that is text.
        return enforced(signature, table_of([read_texts(block, layout, row)], layout, as_texts=True), row)


def _whole(
    blocks: Iterable[bytes], again: Callable[[], Iterable[bytes]], layout: Layout, signature: CompiledSignature
) -> Iterator[Chunk]:
    read = _read_all(blocks, layout, read_block if signature.inputs else read_texts)
    rows = sum(map(len, read))
    if not rows:
        return
    try:
        held = enforced(signature, table_of(read, layout), 0)
    except SignatureViolations:
        del read
        held = enforced(signature, table_of(_read_all(again(), layout, read_texts), layout, as_texts=True), 0)
    yield Chunk(0, rows, held)


def _read_all(blocks: Iterable[bytes], layout: Layout, reader: _Reader) -> list[pyarrow.Table]:
    read: list[pyarrow.Table] = []
    row = 0
    for block in blocks:
        read.append(reader(block, layout, row))
        row += len(read[-1])
    return read
