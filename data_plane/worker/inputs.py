"""Decodes a SCORE frame into the model's input: a DataFrame, an array, a dict of arrays or a JSON value.

Logical types become the dtypes of the environment's own MLflow and pandas: for text and nested values pandas infers the
dtype. Arrays lie over the frame's body without a copy, and the model may write into the arrays.
"""

import base64
import datetime
import functools
import json
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .frames import BYTES_TAG, DATETIME_TAG, TIMESTAMP_TAG, ProtocolError

DTYPES = {
    "boolean": "|b1",
    "integer": "<i4",
    "long": "<i8",
    "float": "<f4",
    "double": "<f8",
    "datetime": "<M8[ns]",
}
_MISSING_IN_PLACE: Dict[str, Any] = {"float": float("nan"), "double": float("nan"), "datetime": "NaT"}


def read_input(payload: Dict[str, Any], body: bytearray) -> Any:
    try:
        read = _READERS[payload["kind"]]
    except (KeyError, TypeError):
        raise ProtocolError("the payload of a SCORE has an unknown kind") from None
    try:
        return read(payload, body)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ProtocolError("the payload of a SCORE cannot be read: {!r}".format(error)) from error


def read_params(meta: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    params: Optional[Dict[str, Any]] = meta.get("params")
    return _tagged(json.dumps(params).encode()) if meta.get("tagged_params") else params


def _json(payload: Dict[str, Any], body: bytearray) -> Any:
    read = _tagged if payload.get("tagged") else json.loads
    return read(bytes(_part(body, payload["data"])))


def _arrays(payload: Dict[str, Any], body: bytearray) -> Dict[str, Any]:
    return {array["name"]: _array(array, body) for array in payload["arrays"]}


def _array(described: Dict[str, Any], body: bytearray) -> Any:
    read = _objects if described["dtype"] == "object" else read_buffer
    return read(body, described["data"], described["dtype"]).reshape(described["shape"])


def _objects(body: bytearray, place: Sequence[int], dtype: str) -> Any:
    import numpy

    values = json.loads(bytes(_part(body, place)))
    # Filled in afterwards: otherwise a list among the values would become another dimension.
    array = numpy.empty(len(values), dtype=dtype)
    array[:] = values
    return array


def _block(payload: Dict[str, Any], body: bytearray) -> Any:
    names = tuple(payload["names"])
    matrix = read_buffer(body, payload["data"], DTYPES[payload["type"]]).reshape(len(names), payload["rows"])
    return _frame_of_matrix(matrix, names, _index(payload, body))


def _frame_of_matrix(matrix: Any, names: Tuple[Any, ...], index: Any) -> Any:
    """Make a DataFrame with a column for each row of the matrix, much faster than from separate columns."""
    import pandas

    return pandas.DataFrame(matrix.T, index=index, columns=_labels(names), copy=False)


def _frame(payload: Dict[str, Any], body: bytearray) -> Any:
    import pandas

    columns, rows = payload["columns"], payload["rows"]
    names = [column["name"] for column in columns]
    if is_one_block(columns, rows):
        return _frame_of_matrix(read_matrix(columns, rows, body), tuple(names), _index(payload, body))
    values = {position: _column(column, rows, body) for position, column in enumerate(columns)}
    frame = pandas.DataFrame(values, index=pandas.RangeIndex(rows), copy=False)
    # Set afterwards, because two columns may have the same name.
    frame.columns = names
    index = _index(payload, body)
    if index is not None:
        frame.index = index
    return frame


def _index(payload: Dict[str, Any], body: bytearray) -> Any:
    """Return the request's row labels with the dtypes that pandas infers; None for default labels."""
    levels = payload.get("index")
    if not levels:
        return None
    import pandas

    labels = [_level(level, payload["rows"], body) for level in levels]
    if len(labels) == 1:
        return labels[0]
    return pandas.MultiIndex.from_arrays(labels)


def _level(level: Dict[str, Any], rows: int, body: bytearray) -> Any:
    import pandas

    # A tuple among the labels is a label.
    labels = pandas.Index(_column(level, rows, body), name=level["name"], tupleize_cols=False)
    zone, unit = level["zone"], level["unit"]
    if zone is not None:
        # An offset such as +02:00 is not a zone to every version of pandas.
        known = pandas.Timestamp("2000-01-01T00:00" + zone).tz if zone[0] in "+-" else zone
        labels = labels.tz_localize("UTC").tz_convert(known)
    # Before version 2, pandas has nanoseconds only.
    return labels.as_unit(unit) if unit is not None and hasattr(labels, "as_unit") else labels


def _labels(names: Tuple[Any, ...]) -> Any:
    """Return cached column labels, as a view: attributes that the model sets do not reach the cache."""
    return _cached_labels(names).view()


@functools.lru_cache(maxsize=64)
def _cached_labels(names: Tuple[Any, ...]) -> Any:
    import pandas

    return pandas.Index(names)


def is_one_block(columns: List[Dict[str, Any]], rows: int) -> bool:
    """Return whether the columns are adjacent in the body, like the rows of one matrix."""
    if not columns or not rows:
        return False
    logical_type, (start, length) = columns[0]["type"], columns[0]["data"]
    return logical_type in ("double", "float", "long", "integer") and all(
        column["type"] == logical_type
        and not column.get("nulls")
        and column["data"] == [start + position * length, length]
        for position, column in enumerate(columns)
    )


def read_matrix(columns: List[Dict[str, Any]], rows: int, body: bytearray) -> Any:
    start, length = columns[0]["data"]
    place = (start, length * len(columns))
    return read_buffer(body, place, DTYPES[columns[0]["type"]]).reshape(len(columns), rows)


def _column(column: Dict[str, Any], rows: int, body: bytearray) -> Any:
    dtype = DTYPES.get(column["type"])
    values = _texts(column, body) if dtype is None else _fixed_width(column, dtype, body)
    if len(values) != rows:
        raise ValueError("column {!r} has {} rows, not {}".format(column["name"], len(values), rows))
    return values


def _fixed_width(column: Dict[str, Any], dtype: str, body: bytearray) -> Any:
    values = read_buffer(body, column["data"], dtype)
    if not column.get("nulls"):
        return values
    missing = read_buffer(body, column["nulls"], "|b1")
    mark = _MISSING_IN_PLACE.get(column["type"])
    if mark is not None:
        values[missing] = mark
        return values
    # Integers and booleans have no missing value: in MLflow such a column has Python objects.
    objects = values.astype(object)
    objects[missing] = None
    return objects


_ENTRIES: Dict[str, Callable[[bytes], Any]] = {"string": bytes.decode, "binary": bytes, "json": json.loads}


def _texts(column: Dict[str, Any], body: bytearray) -> List[Any]:
    read = _tagged if column.get("tagged") else _ENTRIES[column["type"]]
    data = bytes(_part(body, column["data"]))
    offsets = read_buffer(body, column["offsets"], "<i8").tolist()
    parts = [data[start:end] for start, end in zip(offsets, offsets[1:])]
    if not column.get("nulls"):
        return [read(part) for part in parts]
    missing = read_buffer(body, column["nulls"], "|b1").tolist()
    if len(missing) != len(parts):
        raise ValueError("column {!r} has nulls for {} rows".format(column["name"], len(missing)))
    return [None if absent else read(part) for part, absent in zip(parts, missing)]


def _tagged(text: bytes) -> Any:
    return json.loads(text, object_hook=_untagged)


def _untagged(value: Dict[str, Any]) -> Any:
    if BYTES_TAG in value:
        return base64.b64decode(value[BYTES_TAG])
    if DATETIME_TAG in value:
        return _python_datetime(value[DATETIME_TAG])
    return _timestamp(value[TIMESTAMP_TAG]) if TIMESTAMP_TAG in value else value


def _python_datetime(text: str) -> datetime.date:
    """As in MLflow, a param without a time becomes a date."""
    return datetime.datetime.fromisoformat(text) if "T" in text else datetime.date.fromisoformat(text)


def _timestamp(nanoseconds: int) -> Any:
    import pandas

    return pandas.Timestamp(nanoseconds)


def read_buffer(body: bytearray, place: Sequence[int], dtype: str) -> Any:
    import numpy

    wanted = numpy.dtype(dtype)
    if wanted.hasobject:
        raise ValueError("an array of Python objects cannot be sent as a buffer")
    part = _part(body, place)
    # Some versions of numpy reject an empty buffer.
    return numpy.frombuffer(part, dtype=wanted) if len(part) else numpy.empty(0, dtype=wanted)


def _part(body: bytearray, place: Sequence[int]) -> memoryview:
    offset, length = place
    if offset < 0 or length < 0 or offset + length > len(body):
        raise ValueError("a buffer at {} of {} bytes, in a body of {}".format(offset, length, len(body)))
    return memoryview(body)[offset : offset + length]


_READERS: Dict[str, Callable[[Dict[str, Any], bytearray], Any]] = {
    "block": _block,
    "frame": _frame,
    "array": _array,
    "arrays": _arrays,
    "json": _json,
}
