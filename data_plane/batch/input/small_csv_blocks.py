"""Reads small blocks of plain numbers as JSON: Arrow's CSV reader takes longer to start than to read a few rows.

JSON's grammar is the grammar of plain numbers. Any block that JSON might read differently is left to Arrow.
"""

from itertools import chain

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.batch.input.csv_blocks import LEFT_OUT, Layout
from data_plane.batch.input.number_columns import limit_of
from data_plane.scoring.signature import Table, TypedColumn

_MAX_BYTES = 64 << 10
_PLAIN = b"0123456789+-.eE,\r\n"
_NUMBERS = {int, float}
_WHOLE = {int}


def small_table(block: bytes, layout: Layout) -> Table | None:
    """Return None for a large block, and for a block with other values than plain numbers."""
    if len(block) > _MAX_BYTES or layout.numbers is None or block.translate(None, _PLAIN):
        return None
    rows = _rows(block, len(layout.names))
    if rows is None:
        return None
    by_column = np.array(list(zip(*rows, strict=True)), dtype=np.float64)
    columns = tuple(_column(place, by_column, rows, layout) for place in range(len(layout.names)))
    if None in columns:
        return None
    return Table(layout.names, tuple(column for column in columns if column), len(rows), is_text=True)


def _rows(block: bytes, width: int) -> list[list[int | float]] | None:
    lines = block.replace(b"\r\n", b"\n").removesuffix(b"\n")
    # JSON takes a carriage return for white space, and the integer -0 loses its sign.
    if b"\r" in lines or b"-0," in lines or b"-0\n" in lines or lines.endswith(b"-0"):
        return None
    try:
        rows: list[list[int | float]] = orjson.loads(b"[[" + lines.replace(b"\n", b"],[") + b"]]")
    except orjson.JSONDecodeError:
        return None
    is_plain = set(map(len, rows)) == {width} and set(map(type, chain.from_iterable(rows))) <= _NUMBERS
    return rows if is_plain else None


def _column(
    place: int, by_column: npt.NDArray[np.float64], rows: list[list[int | float]], layout: Layout
) -> TypedColumn | None:
    name, values = layout.names[place], by_column[place]
    if name in layout.left_out:
        return LEFT_OUT
    kind = layout.kinds[name]
    if not np.abs(values).max() < limit_of(kind):
        return None
    if kind not in ("integer", "long"):
        return TypedColumn(values)
    # Only integers in the text: a double may have been rounded to a whole number.
    return TypedColumn(values.astype(np.int64)) if {type(row[place]) for row in rows} == _WHOLE else None
