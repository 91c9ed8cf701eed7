"""JSON lists written piece by piece.

A call of orjson holds the GIL to the end, in a separate thread too. A piece takes a millisecond or two, and other
requests proceed between the pieces.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

CELLS_PER_PIECE = 1 << 14


def write_list(entries: int, cells_per_entry: int, write: Callable[[slice], bytes]) -> bytes:
    """Write a list of `entries` as JSON. `write` returns one slice of the list as a JSON list."""
    piece = max(1, CELLS_PER_PIECE // max(1, cells_per_entry))
    if entries <= piece:
        return write(slice(0, entries))
    pieces = [write(slice(start, start + piece))[1:-1] for start in range(0, entries, piece)]
    return b"[%b]" % b",".join(pieces)


def values_to_json(values: Sequence[Any]) -> bytes:
    return write_list(len(values), 1, lambda part: orjson.dumps(values[part]))


def array_to_json(array: npt.NDArray[Any]) -> bytes:
    """Write an array of numbers or booleans as nested lists. NaN and infinities become null."""
    if array.ndim == 0 or array.size == 0:
        return orjson.dumps(array.tolist())
    cells_per_entry = array.size // len(array)
    if array.ndim > 1 and cells_per_entry > CELLS_PER_PIECE:
        return b"[%b]" % b",".join(map(array_to_json, array))
    return write_list(len(array), cells_per_entry, lambda part: _dump(array[part]))


def _dump(array: npt.NDArray[Any]) -> bytes:
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return orjson.dumps(native, option=orjson.OPT_SERIALIZE_NUMPY)
