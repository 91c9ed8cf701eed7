"""One answer for a whole batch into one answer per request, and whether two answers say the same."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.scoring.payload.values import ArrayResult, Column, FrameResult, JsonResult, Result

# Sums over more rows are added up in another order; nothing but the last digits may change with it.
_RELATIVE = {2: 1e-2, 4: 1e-4, 8: 1e-5}


def split_result(result: Result, row_counts: Sequence[int]) -> list[Result] | None:
    """Each request's part. None where the answer is not one entry per row."""
    rows = sum(row_counts)
    match result:
        case ArrayResult(array=array) if array.ndim and len(array) == rows:
            return [ArrayResult(array[part]) for part in _parts(row_counts)]
        case FrameResult(columns=columns) if result.rows == rows:
            return [FrameResult(tuple(c.cut(p) for c in columns), p.stop - p.start) for p in _parts(row_counts)]
        case JsonResult(text=text) if text.startswith(b"["):
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
        # Integers beyond 64 bits, for example: what cannot be read cannot be shared out.
        return None
    return entries


def is_same_result(one: Result, other: Result) -> bool:
    match one, other:
        case ArrayResult(array=array), ArrayResult(array=another):
            return _same_arrays(array, another)
        case FrameResult(columns=columns), FrameResult(columns=others):
            return len(columns) == len(others) and all(map(_same_columns, columns, others))
        case JsonResult(text=text), JsonResult(text=another_text):
            return _same_json(text, another_text)
    return False


def _same_arrays(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if one.dtype.kind == "f":
        return np.allclose(one, other, rtol=_RELATIVE.get(one.dtype.itemsize, 0.0), equal_nan=True)
    return np.array_equal(one, other)


def _same_columns(one: Column, other: Column) -> bool:
    if (one.name, one.type) != (other.name, other.type) or not _same_nulls(one, other):
        return False
    if isinstance(one.values, np.ndarray) and isinstance(other.values, np.ndarray):
        return _same_arrays(one.values, other.values)
    return list(one.values) == list(other.values)


def _same_nulls(one: Column, other: Column) -> bool:
    missing = np.zeros(len(one.values), bool) if one.nulls is None else one.nulls
    also_missing = np.zeros(len(other.values), bool) if other.nulls is None else other.nulls
    return np.array_equal(missing, also_missing)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(orjson.loads(one) == orjson.loads(other))
    except orjson.JSONDecodeError:
        return one == other
