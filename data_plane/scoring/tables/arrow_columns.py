"""Convert Arrow columns to the columns of a signature's table."""

import base64
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow
from pyarrow import types

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature.table import TypedColumn

_MAX_LONG_DIGITS = 18
_TEXT_KINDS = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)


def typed_column(name: str, column: Any) -> TypedColumn:
    """Raises InvalidBody for an Arrow type without a counterpart among the declared types."""
    kind = column.type
    if types.is_dictionary(kind) and not _is_text(kind.value_type):
        return typed_column(name, column.cast(kind.value_type))
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return _numbers(column.cast(pyarrow.float32()) if types.is_float16(kind) else column)
    if types.is_timestamp(kind):
        return _datetimes(column, kind.unit)
    if types.is_date(kind):
        return _datetimes(column.cast(pyarrow.timestamp("ms")), "ms")
    if types.is_decimal(kind):
        is_long = kind.scale <= 0 and kind.precision - kind.scale <= _MAX_LONG_DIGITS
        return _numbers(column.cast(pyarrow.int64() if is_long else pyarrow.float64()))
    if types.is_fixed_size_binary(kind):
        return TypedColumn(python_values(column.cast(pyarrow.binary())))
    if types.is_time(kind) or types.is_duration(kind) or types.is_interval(kind):
        raise InvalidBody(f"the Parquet column {name!r} is of type {kind}, which no model input type matches")
    return TypedColumn(python_values(column))


def python_values(column: Any) -> list[Any]:
    """Return texts, bytes or nested values as Python values. A missing value is None."""
    values: list[Any] = []
    for chunk in column.chunks:
        values += _chunk_values(chunk)
    return values


def _numbers(column: Any) -> TypedColumn:
    if not column.null_count:
        return TypedColumn(column.to_numpy())
    return TypedColumn(column.fill_null(False if types.is_boolean(column.type) else 0).to_numpy(), _nulls(column))


def _datetimes(column: Any, unit: str) -> TypedColumn:
    """Convert a column of timestamps. Arrow stores timestamps with a time zone in UTC."""
    integers = _numbers(column.cast(pyarrow.int64()))
    assert isinstance(integers.values, np.ndarray)
    return TypedColumn(integers.values.view(f"datetime64[{unit}]"), integers.nulls)


def _nulls(column: Any) -> Any:
    return column.is_null().to_numpy()


def _is_text(kind: Any) -> bool:
    return any(is_kind(kind) for is_kind in _TEXT_KINDS)


def _chunk_values(chunk: Any) -> list[Any]:
    kind = chunk.type
    if types.is_dictionary(kind):
        entries = [*chunk.dictionary.to_pylist(), None]
        # A missing value selects the last entry, None.
        return [entries[index] for index in chunk.indices.fill_null(len(entries) - 1).to_pylist()]
    if _is_text(kind):
        values: list[Any] = chunk.to_numpy(zero_copy_only=False).tolist()
        return values
    return [_json_value(value) for value in chunk.to_pylist(maps_as_pydicts="lossy")]


def _json_value(value: Any) -> Any:
    """Convert a nested value to the value that JSON would have given."""
    match value:
        case dict():
            return {str(key): _json_value(each) for key, each in value.items()}
        case list():
            return [_json_value(each) for each in value]
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return value
