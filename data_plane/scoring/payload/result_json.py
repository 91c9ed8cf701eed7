"""Write a result as the JSON of a response."""

import base64
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.scoring.errors import ResultTooLarge
from data_plane.scoring.payload.json_check import check_json
from data_plane.scoring.payload.json_pieces import CELLS_PER_PIECE, array_to_json, check_size, write_list
from data_plane.scoring.payload.values import ArrayResult, Column, FrameResult, JsonResult, Result

_DOUBLE = np.dtype(np.float64)


def result_to_json(result: Result, max_bytes: int = sys.maxsize) -> bytes:
    """Write Azure's response: bare nested lists, or a list of records. NaN and infinities become null.

    Raises ResultTooLarge for a response over `max_bytes`, and WorkerProtocolError for JSON that is not valid.
    """
    match result:
        case JsonResult(text=text):
            check_json(text)
            return check_size(text, max_bytes)
        case ArrayResult(array=array):
            if array.dtype is _DOUBLE and 0 < array.size <= CELLS_PER_PIECE and array.ndim and array.flags.c_contiguous:
                # The result of nearly every small request. The checks of the general way take longer than the writing.
                return check_size(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY), max_bytes)
            return array_to_json(_as_doubles(array), max_bytes)
        case FrameResult(columns=columns, rows=rows):
            if rows * sum(len(str(column.name)) for column in columns) > max_bytes:
                # Every record repeats the names, so that a single piece could be huge.
                raise ResultTooLarge(max_bytes)
            return write_list(rows, len(columns), lambda part: _records(columns, rows, part), max_bytes)


def _as_doubles(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Widen floats as `tolist()` does. MLflow's response has the same doubles."""
    return array.astype(np.float64) if array.dtype.kind == "f" and array.dtype.itemsize < 8 else array


def _records(columns: Sequence[Column], rows: int, part: slice) -> bytes:
    values = {str(column.name): _values(column.cut(part)) for column in columns}
    if not values:
        return orjson.dumps([{} for _ in range(rows)[part]])
    names = tuple(values)
    return orjson.dumps([dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True)])


def _values(column: Column) -> list[Any]:
    values = column.values
    if isinstance(values, np.ndarray):
        listed: list[Any] = (values.astype("datetime64[us]") if column.type == "datetime" else values).tolist()
    elif column.type == "binary":
        listed = [base64.b64encode(value).decode() for value in values]
    else:
        listed = list(values)
    if column.nulls is None:
        return listed
    return [None if missing else value for value, missing in zip(listed, column.nulls.tolist(), strict=True)]
