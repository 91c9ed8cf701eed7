"""Results into the JSON that a caller gets."""

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.guests.values import ArrayResult, Column, FrameResult, JsonResult, Result

_DIRECT_KINDS = frozenset("biuf")


def result_to_json(result: Result) -> bytes:
    """The answer's JSON as Azure gives it: bare nested lists, or a list of records. NaN and infinities are null."""
    match result:
        case JsonResult(text=text):
            return text
        case ArrayResult(array=array):
            return _array_to_json(array)
        case FrameResult(columns=columns, rows=rows):
            return orjson.dumps(_records(columns, rows))


def _array_to_json(array: npt.NDArray[Any]) -> bytes:
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        # As `tolist()` gives it, so that a caller who compares doubles finds what MLflow would have answered.
        array = array.astype(np.float64)
    if array.ndim == 0 or array.size == 0 or array.dtype.kind not in _DIRECT_KINDS:
        return orjson.dumps(array.tolist())
    native = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return orjson.dumps(native, option=orjson.OPT_SERIALIZE_NUMPY)


def _records(columns: Iterable[Column], rows: int) -> list[dict[str, Any]]:
    listed = {str(column.name): _values(column) for column in columns}
    if not listed:
        return [{} for _ in range(rows)]
    names = tuple(listed)
    return [dict(zip(names, row, strict=True)) for row in zip(*listed.values(), strict=True)]


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
