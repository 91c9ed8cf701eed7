"""JSON Lines to chunks: an object in each line, read like the records of an online request.

An optional column without any value is null in every row, so that the chunking does not change the result.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import orjson

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input import text_blocks
from data_plane.batch.input.chunks import Chunk, with_file_rows
from data_plane.batch.input.object_bytes import mark_length, text_of
from data_plane.batch.input.spans import Span
from data_plane.scoring.signature import ColumnSpec, CompiledSignature, Enforced, parse_json
from data_plane.scoring.tables.json_frames import records_table
from modelyard.core.ports.object_store import ObjectStore


def read_json_lines(store: ObjectStore, span: Span, signature: CompiledSignature) -> Iterator[Chunk]:
    blocks: Iterator[bytes] = text_blocks.blocks(text_of(store, span), _last_line_end, text_blocks.BLOCK_BYTES)
    if span.is_whole or not signature.inputs:
        lines = chain.from_iterable(map(_lines, blocks))
        yield from _chunk(list(lines), 0, signature)
        return
    row = span.first_row
    for block in blocks:
        lines_of_block = _lines(block)
        yield from _chunk(lines_of_block, row, signature)
        row += len(lines_of_block)


def split_json_lines(store: ObjectStore, whole: Span) -> Iterator[Span]:
    """Split the file into spans. Raises UnreadableFile."""
    place = mark_length(b"".join(store.get(whole.key, length=4)))
    row = 0
    for block in text_blocks.blocks(text_of(store, whole), _last_line_end, text_blocks.BLOCK_BYTES):
        rows = len(_lines(block))
        if rows:
            yield replace(whole, start=place, end=place + len(block), first_row=row, rows=rows)
        place, row = place + len(block), row + rows


def _last_line_end(text: bytes) -> int:
    return text.rfind(b"\n") + 1


def _lines(text: bytes) -> list[bytes]:
    return [line for line in text.split(b"\n") if line and not line.isspace()]


def _chunk(lines: list[bytes], row: int, signature: CompiledSignature) -> Iterator[Chunk]:
    if lines:
        values = _parsed(lines, row)
        yield Chunk(row, len(values), with_file_rows(row, lambda: _enforced(values, row, signature)))


def _parsed(lines: list[bytes], row: int) -> list[Any]:
    try:
        values = parse_json(b"[" + b",".join(lines) + b"]")
    except orjson.JSONDecodeError:
        values = None
    if isinstance(values, list) and len(values) == len(lines):
        return values
    return [_line(line, row + place) for place, line in enumerate(lines)]


def _line(line: bytes, row: int) -> Any:
    try:
        return parse_json(line)
    except orjson.JSONDecodeError as error:
        raise UnreadableFile(f"row {row} is not valid JSON: {error}") from None


def _enforced(values: list[Any], row: int, signature: CompiledSignature) -> Enforced:
    if signature.is_raw:
        return signature.enforce(values, None)
    for place, value in enumerate(values):
        if not isinstance(value, dict):
            raise UnreadableFile(f"row {row + place} is not a JSON object")
    if signature.inputs and isinstance(signature.inputs[0], ColumnSpec):
        optional = [str(spec.name) for spec in signature.inputs if isinstance(spec, ColumnSpec) and not spec.required]
        # The first row names the columns: a key that only some rows have is null in the rest.
        values[0] = {**dict.fromkeys(optional), **values[0]}
        return signature.enforce(values, None)
    return signature.enforce_table(records_table(values), None)
