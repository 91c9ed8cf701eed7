"""Encodes a model's result for a RESULT frame: buffers for numbers and text, JSON for all other values."""

import sys
from typing import Any, Dict, List, Optional, Tuple

from .frames import Body
from .json_text import column_name, json_text

# (kind, size) of a numpy dtype, and the logical type without loss.
_LOGICAL_TYPES: Dict[Tuple[str, int], Tuple[str, str]] = {
    ("b", 1): ("boolean", "|b1"),
    ("i", 1): ("integer", "<i4"),
    ("i", 2): ("integer", "<i4"),
    ("i", 4): ("integer", "<i4"),
    ("u", 1): ("integer", "<i4"),
    ("u", 2): ("integer", "<i4"),
    ("u", 4): ("long", "<i8"),
    ("i", 8): ("long", "<i8"),
    ("f", 2): ("float", "<f4"),
    ("f", 4): ("float", "<f4"),
    ("f", 8): ("double", "<f8"),
}


# The meta, where names and columns are described, is parsed on the event loop of the gateway.
_MAX_COLUMNS = 10000
_MAX_NAME = 256


def describe_result(result: Any) -> Tuple[Dict[str, Any], Body]:
    """Return `result` for the meta, and the body. Raises NotJsonSerializable."""
    for describe in (_array, _frame, _json):
        body = Body()
        described = describe(result, body)
        if described is not None:
            return described, body
    raise AssertionError("json_text returns or raises")


def _json(result: Any, body: Body) -> Optional[Dict[str, Any]]:
    return {"kind": "json", "data": body.add(json_text(result))}


def _array(result: Any, body: Body) -> Optional[Dict[str, Any]]:
    numpy = sys.modules.get("numpy")
    if numpy is None or type(result) is not numpy.ndarray:
        return None
    if result.dtype.kind not in "biuf" or result.dtype.itemsize > 8:
        return None
    dtype = result.dtype.newbyteorder("<")
    place = body.add(_bytes_of(result, dtype))
    return {"kind": "array", "dtype": dtype.str, "shape": result.shape, "data": place}


def _frame(result: Any, body: Body) -> Optional[Dict[str, Any]]:
    """Describe a DataFrame of numbers, booleans and text by columns; None for other DataFrames, sent as JSON."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(result, pandas.DataFrame):
        return None
    names = [column_name(name) for name in result.columns]
    if len(names) > _MAX_COLUMNS or any(len(name) > _MAX_NAME for name in names):
        return None
    columns = []
    for position, name in enumerate(names):
        described = _column(result.iloc[:, position], body)
        if described is None:
            return None
        described["name"] = name
        columns.append(described)
    return {"kind": "frame", "rows": len(result), "columns": columns}


def _column(series: Any, body: Body) -> Optional[Dict[str, Any]]:
    dtype = series.dtype
    logical = _LOGICAL_TYPES.get((dtype.kind, getattr(dtype, "itemsize", 0)))
    if logical is not None and type(dtype).__module__.startswith("numpy"):
        logical_type, wire = logical
        return {"type": logical_type, "data": body.add(_bytes_of(series.to_numpy(), wire))}
    if dtype.kind == "O":
        return _text_column(series.tolist(), body)
    return None


def _text_column(values: List[Any], body: Body) -> Optional[Dict[str, Any]]:
    missing = [value is None or value != value for value in values if type(value) is not str]
    if not all(flag is True for flag in missing):
        return None
    texts = [value.encode("utf-8", "replace") if type(value) is str else b"" for value in values]
    return {
        "type": "string",
        "data": body.add(b"".join(texts)),
        "offsets": body.add(_offsets(texts)),
        "nulls": body.add(bytes(type(value) is not str for value in values)) if missing else None,
    }


def _offsets(texts: List[bytes]) -> memoryview:
    import numpy

    offsets = numpy.zeros(len(texts) + 1, dtype="<i8")
    numpy.cumsum([len(text) for text in texts], out=offsets[1:])
    return _bytes_of(offsets, "<i8")


def _bytes_of(array: Any, dtype: Any) -> memoryview:
    import numpy

    contiguous: Any = numpy.ascontiguousarray(array, dtype=dtype)
    # An empty view cannot be cast to bytes.
    return memoryview(contiguous.reshape(-1).view("u1")) if contiguous.size else memoryview(b"")
