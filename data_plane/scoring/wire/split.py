"""Split the result of a batch into a result per request, and compare results."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.scoring.payload.values import ArrayResult, Column, FrameResult, JsonResult, Result

# Parsed in one call, on the event loop of the gateway.
_MAX_JSON_BYTES = 8 << 20
# The order of summation depends on the number of rows, and rounding depends on the order: the last digits may differ.
_RELATIVE = {2: 1e-2, 4: 1e-4, 8: 1e-5}


def split_result(result: Result, row_counts: Sequence[int]) -> list[Result] | None:
    """Return each request's result, given each request's row count. None: the result is not one entry per row."""
    rows = sum(row_counts)
    match result:
        case ArrayResult(array=array) if array.ndim and len(array) == rows:
            return [ArrayResult(array[part]) for part in _parts(row_counts)]
        case FrameResult(columns=columns) if result.rows == rows:
            return [FrameResult(tuple(c.cut(p) for c in columns), p.stop - p.start) for p in _parts(row_counts)]
        case JsonResult(text=text) if text.startswith(b"[") and len(text) <= _MAX_JSON_BYTES:
            entries = _entries(text)
            if entries is not None and len(entries) == rows:
                return [JsonResult(orjson.dumps(entries[part])) for part in _parts(row_counts)]
    return None


def _parts(row_counts: Sequence[int]) -> Iterator[slice]:
    return itertools.starmap(slice, itertools.pairwise(itertools.accumulate(row_counts, initial=0)))


def _entries(text: bytes) -> list[Any] | None:
    try:
        entries: list[Any] = orjson.loads(text)
    except orjson.JSONDecodeError:
        # orjson does not read integers beyond 64 bits, for example.
        return None
    return entries


def is_same_result(left: Result, right: Result) -> bool:
    match left, right:
        case ArrayResult(array=array), ArrayResult(array=right_array):
            return _same_arrays(array, right_array)
        case FrameResult(columns=columns), FrameResult(columns=right_columns):
            return len(columns) == len(right_columns) and all(map(_same_columns, columns, right_columns))
        case JsonResult(text=text), JsonResult(text=right_text):
            return _same_json(text, right_text)
    return False


def _same_arrays(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    if left.dtype.kind == "f":
        return np.allclose(left, right, rtol=_RELATIVE.get(left.dtype.itemsize, 0.0), equal_nan=True)
    return np.array_equal(left, right)


def _same_columns(left: Column, right: Column) -> bool:
    if (left.name, left.type) != (right.name, right.type) or not _same_nulls(left, right):
        return False
    if isinstance(left.values, np.ndarray) and isinstance(right.values, np.ndarray):
        return _same_arrays(left.values, right.values)
    return list(left.values) == list(right.values)


def _same_nulls(left: Column, right: Column) -> bool:
    missing = np.zeros(len(left.values), bool) if left.nulls is None else left.nulls
    right_missing = np.zeros(len(right.values), bool) if right.nulls is None else right.nulls
    return np.array_equal(missing, right_missing)


def _same_json(left: bytes, right: bytes) -> bool:
    try:
        return bool(orjson.loads(left) == orjson.loads(right))
    except orjson.JSONDecodeError:
        return left == right
