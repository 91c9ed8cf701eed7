"""JSON lists written piece by piece.

A call of orjson holds the GIL to the end, in a separate thread too. A piece takes a millisecond or two, and other
requests proceed between the pieces. Writing stops at `max_bytes`: a small result can have a large text.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.scoring.errors import ResultTooLarge

CELLS_PER_PIECE = 1 << 14


def write_list(
    entries: int, cells_per_entry: int, write: Callable[[slice], bytes], max_bytes: int = sys.maxsize
) -> bytes:
    """Write a list of `entries` as JSON. `write` returns one slice of the list as a JSON list.

    Raises ResultTooLarge.
    """
    piece = max(1, CELLS_PER_PIECE // max(1, cells_per_entry))
    if entries <= piece:
        return check_size(write(slice(0, entries)), max_bytes)
    return _joined((write(slice(start, start + piece))[1:-1] for start in range(0, entries, piece)), max_bytes)


def values_to_json(values: Sequence[Any], max_bytes: int = sys.maxsize) -> bytes:
    return write_list(len(values), 1, lambda part: orjson.dumps(values[part]), max_bytes)


def array_to_json(array: npt.NDArray[Any], max_bytes: int = sys.maxsize) -> bytes:
    """Write an array of numbers or booleans as nested lists. NaN and infinities become null. Raises ResultTooLarge."""
    if array.ndim == 0 or array.size == 0:
        return check_size(orjson.dumps(array.tolist()), max_bytes)
    cells_per_entry = array.size // len(array)
    if array.ndim > 1 and cells_per_entry > CELLS_PER_PIECE:
        return _joined((array_to_json(entry, max_bytes) for entry in array), max_bytes)
    return write_list(len(array), cells_per_entry, lambda part: _dump(array[part]), max_bytes)


def check_size(written: bytes, max_bytes: int) -> bytes:
    """Return `written`. Raises ResultTooLarge."""
    if len(written) > max_bytes:
        raise ResultTooLarge(max_bytes)
    return written


def _joined(pieces: Iterable[bytes], max_bytes: int) -> bytes:
    collected, size = [], 0
    for piece in pieces:
        collected.append(piece)
        size += len(piece) + 1
        if size > max_bytes:
            raise ResultTooLarge(max_bytes)
    return b"[%b]" % b",".join(collected)


def _dump(array: npt.NDArray[Any]) -> bytes:
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return orjson.dumps(native, option=orjson.OPT_SERIALIZE_NUMPY)
