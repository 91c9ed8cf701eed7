"""Reads blocks of CSV whose columns are all real numbers, by a JSON parser: in 40 % of Arrow's processor time.

JSON's grammar is the grammar of plain numbers, so the parser makes the check as well. Any block that JSON might read
differently is left to Arrow. docs/decisions/0019-csv-by-a-json-parser.md has the measurements.
"""

from collections.abc import Iterator
from typing import cast

import numpy as np
import numpy.typing as npt
import simdjson

from data_plane.batch.input.csv_blocks import LEFT_OUT, Layout
from data_plane.batch.input.number_columns import limit_of
from data_plane.scoring.signature import Table, TypedColumn

_REAL = {"double", "float"}
# Text, parsed numbers and the columns of a part fit in a core's cache.
_PART = 1 << 18
# Stands for a line end: larger than every plain number, so that no value of a file is taken for a line end.
_LINE_END, _LINE_END_TEXT = 1e300, b",1e300,"
_LF = ord("\n")
# JSON accepts blanks and nested lists, and Arrow strips blanks.
_UNUSUAL = (b" ", b"\t", b"[")


def real_table(block: bytes, layout: Layout) -> Table | None:
    """Return None for a block with other values than plain numbers, and for a layout with other columns."""
    if not block or not layout.read or not set(map(layout.kinds.get, layout.read)) <= _REAL:
        return None
    block = _with_plain_line_ends(block)
    parser = simdjson.Parser()
    columns = np.empty((len(layout.names), _line_count(block)))
    filled = 0
    for part in _parts(block):
        lines = _lines(parser, part, len(layout.names))
        # A value of a ragged line may equal `_LINE_END`.
        if lines is None or len(lines) != _line_count(part):
            return None
        columns[:, filled : filled + len(lines)] = lines.T
        filled += len(lines)
    if not _are_exact(columns, layout):
        return None
    read = (LEFT_OUT if name in layout.left_out else TypedColumn(columns[at]) for at, name in enumerate(layout.names))
    return Table(layout.names, tuple(read), filled, is_text=True)


def _with_plain_line_ends(block: bytes) -> bytes:
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    return block if block.endswith(b"\n") else block + b"\n"


def _line_count(block: bytes) -> int:
    # In parts: numpy's comparison stays in the cache, and bytes.count takes four times as long.
    codes = np.frombuffer(block, np.uint8)
    return sum(int(np.count_nonzero(codes[at : at + _PART] == _LF)) for at in range(0, len(codes), _PART))


def _parts(block: bytes) -> Iterator[bytes]:
    """Yield parts of whole lines."""
    start = 0
    while start < len(block):
        end = block.rfind(b"\n", start, start + _PART) + 1 or block.find(b"\n", start) + 1
        yield block[start:end]
        start = end


def _lines(parser: simdjson.Parser, part: bytes, width: int) -> npt.NDArray[np.float64] | None:
    """Return an array of shape (lines, width), or None for a part that is not lines of `width` JSON numbers."""
    if b"\r" in part or any(mark in part for mark in _UNUSUAL):
        return None
    text = part.replace(b"\n", _LINE_END_TEXT)
    try:
        numbers = cast(simdjson.Array, parser.parse(b"[" + text + b"0]")).as_buffer(of_type="d")
    except (ValueError, TypeError, RuntimeError):
        # Missing values, words, quotes, numbers that are not JSON's or not a double's.
        return None
    values = np.frombuffer(numbers)[:-1]
    if len(values) % (width + 1):
        return None
    # JSON's integer -0 loses its sign.
    if not values.all() and b"-0," in text:
        return None
    lines = values.reshape(-1, width + 1)
    return lines[:, :width] if (lines[:, width] == _LINE_END).all() else None


def _are_exact(columns: npt.NDArray[np.float64], layout: Layout) -> bool:
    """Return whether all numbers are exact, and so also whether none of them is `_LINE_END`."""
    limit = min(limit_of(layout.kinds[name]) for name in layout.read)
    return bool(columns.max() < limit and columns.min() > -limit)
