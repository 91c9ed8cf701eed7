"""JSON Lines, whole or in parts, to chunks: an object in each line, as the online endpoint takes them for records.

An optional column that is in none of the lines is null in all of them: which lines are read together changes nothing.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import orjson

from data_plane.batch import records
from data_plane.batch.chunks import Chunk, of_file
from data_plane.batch.contents import mark_length, text_of
from data_plane.batch.failures import UnreadableFile
from data_plane.batch.spans import Span
from data_plane.scoring.signature import ColumnSpec, CompiledSignature, Enforced, parse_json
from data_plane.scoring.tables.json_frames import records_table
from modelyard.core.ports.object_store import ObjectStore


def read_json_lines(store: ObjectStore, span: Span, signature: CompiledSignature) -> Iterator[Chunk]:
    blocks: Iterator[bytes] = records.blocks(text_of(store, span), _last_line_end, records.BLOCK_BYTES)
    if span.is_whole or not signature.inputs:
        lines = chain.from_iterable(map(_lines, blocks))
        yield from _chunk(list(lines), 0, signature)
        return
    row = span.first_row
    for block in blocks:
        lines_of_block = _lines(block)
        yield from _chunk(lines_of_block, row, signature)
        row += len(lines_of_block)


def cut_json_lines(store: ObjectStore, whole: Span) -> Iterator[Span]:
    """Raises UnreadableFile."""
    place = mark_length(b"".join(store.get(whole.key, length=4)))
    row = 0
    for block in records.blocks(text_of(store, whole), _last_line_end, records.BLOCK_BYTES):
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
        yield Chunk(row, len(values), of_file(row, lambda: _enforced(values, row, signature)))


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
        raise UnreadableFile(f"row {row} is no line of JSON: {error}") from None


def _enforced(values: list[Any], row: int, signature: CompiledSignature) -> Enforced:
    if signature.is_raw:
        return signature.enforce(values, None)
    for place, value in enumerate(values):
        if not isinstance(value, dict):
            raise UnreadableFile(f"row {row + place} is no object of JSON")
    if signature.inputs and isinstance(signature.inputs[0], ColumnSpec):
        optional = [str(spec.name) for spec in signature.inputs if isinstance(spec, ColumnSpec) and not spec.required]
        # The names stand in the first row: a key that only some have is null in the others.
        values[0] = {**dict.fromkeys(optional), **values[0]}
        return signature.enforce(values, None)
    return signature.enforce_table(records_table(values), None)
