"""JSON lists written piece by piece.

Writing JSON holds the interpreter for as long as the call takes, also in a thread of its own. In pieces it does so for
a millisecond or two at a time, and the other requests go on in between.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

CELLS_AT_ONCE = 1 << 14


def listed(entries: int, cells_of_each: int, write: Callable[[slice], bytes]) -> bytes:
    """The list whose parts `write` makes lists of."""
    at_once = max(1, CELLS_AT_ONCE // max(1, cells_of_each))
    if entries <= at_once:
        return write(slice(0, entries))
    pieces = [write(slice(start, start + at_once))[1:-1] for start in range(0, entries, at_once)]
    return b"[%b]" % b",".join(pieces)


def values_to_json(values: Sequence[Any]) -> bytes:
    return listed(len(values), 1, lambda part: orjson.dumps(values[part]))


def array_to_json(array: npt.NDArray[Any]) -> bytes:
    """Nested lists of numbers or booleans. NaN and infinities are null."""
    if array.ndim == 0 or array.size == 0:
        return orjson.dumps(array.tolist())
    cells_of_each = array.size // len(array)
    if array.ndim > 1 and cells_of_each > CELLS_AT_ONCE:
        return b"[%b]" % b",".join(map(array_to_json, array))
    return listed(len(array), cells_of_each, lambda part: _written(array[part]))


def _written(array: npt.NDArray[Any]) -> bytes:
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return orjson.dumps(native, option=orjson.OPT_SERIALIZE_NUMPY)
