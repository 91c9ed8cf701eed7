"""Encodes any result of a model as valid JSON.

NaN and the infinities become null; numpy and pandas values have the form that MLflow's server gives them; datetimes are
ISO 8601, durations seconds, bytes base64. A value without a form in JSON raises an error with the name of the type, so
no caller ever receives invalid JSON.
"""

import base64
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import fractions
import json
import math
import pathlib
import sys
import uuid
from typing import Any, Callable, Dict, List, Optional, Tuple


class NotJsonSerializable(TypeError):
    """The model's result holds a value that JSON cannot express."""

    def __init__(self, value: Any) -> None:
        kind = type(value)
        super().__init__(
            "the model's result holds a {}.{}, which JSON cannot express: let the model return numbers, text, "
            "lists, dicts, arrays or DataFrames".format(kind.__module__, kind.__qualname__)
        )


def json_text(answer: Any) -> bytes:
    try:
        return _dump(answer)
    except (TypeError, ValueError, RecursionError):
        # Not plain JSON values: converted by `_plain`.
        pass
    try:
        return _dump(_plain(answer))
    except RecursionError:
        raise ValueError("the model's result contains itself, or is nested too deeply for JSON") from None


def _dump(value: Any) -> bytes:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    # Half a surrogate pair cannot be encoded in UTF-8.
    return text.encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    """Convert a value to dict, list, str, int, float, bool and None."""
    if value is None or type(value) in (bool, int, str):
        return value
    for convert in (_of_numpy, _of_pandas, _of_python):
        converted = convert(value)
        if converted is not None:
            return converted[0]
    raise NotJsonSerializable(value)


# A converter returns None for a foreign type, else a tuple with the value (None, too, is a value).
_Converted = Optional[Tuple[Any]]


def _of_python(value: Any) -> _Converted:
    for kind, convert in _PYTHON_TYPES:
        if isinstance(value, kind):
            return (convert(value),)
    if isinstance(value, type):
        return None
    for method in _OWN_FORMS:
        if callable(getattr(type(value), method, None)):
            return (_plain(getattr(value, method)()),)
    if dataclasses.is_dataclass(value):
        return (_mapping({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}),)
    return None


def _number(value: Any) -> Optional[float]:
    number = float(value)
    return number if math.isfinite(number) else None


def _mapping(value: Any) -> Dict[str, Any]:
    return {_key(key): _plain(entry) for key, entry in value.items()}


def column_name(name: Any) -> str:
    """Return a column's name as a JSON key: a DataFrame allows any object as a name."""
    try:
        text = _key(name)
    except NotJsonSerializable:
        text = str(name)
    return text.encode("utf-8", "replace").decode()


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    # As in MLflow's responses, a key may be the text NaN.
    plain = float(key) if isinstance(key, float) else _plain(key)
    if isinstance(plain, (dict, list)):
        raise NotJsonSerializable(key)
    # As JSON writes the value: true, null, 1, 0.5
    return plain if isinstance(plain, str) else json.dumps(plain)


def _list(values: Any) -> List[Any]:
    return [_plain(value) for value in values]


def _base64(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode("ascii")


# Methods by which values convert themselves: pydantic's models (of both versions), the tables of polars and Arrow,
# MLflow's chat responses, scipy's sparse matrices, and tensors of any library. No library is imported for this.
_OWN_FORMS = ("model_dump", "to_dicts", "to_pylist", "to_dict", "dict", "toarray", "__array__")

_PYTHON_TYPES: Tuple[Tuple[Any, Callable[[Any], Any]], ...] = (
    (enum.Enum, lambda member: _plain(member.value)),
    (bool, bool),
    (int, int),
    ((float, fractions.Fraction), _number),
    (decimal.Decimal, lambda number: _number(number) if number.is_finite() else None),
    (str, lambda text: str.__str__(text)),
    ((bytes, bytearray, memoryview), _base64),
    ((datetime.datetime, datetime.date, datetime.time), lambda value: value.isoformat()),
    (datetime.timedelta, lambda duration: duration.total_seconds()),
    ((uuid.UUID, pathlib.PurePath), str),
    (collections.abc.Mapping, _mapping),
    ((collections.abc.Sequence, collections.abc.Set, collections.abc.ValuesView), _list),
)


def _of_numpy(value: Any) -> _Converted:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if isinstance(value, numpy.ma.MaskedArray):
        return (_plain(value.tolist()),)
    if isinstance(value, numpy.ndarray):
        return (_of_array(numpy.asarray(value), numpy),)
    if not isinstance(value, numpy.generic):
        return None
    if value.dtype.kind == "M":
        return (_datetime_text(value, numpy),)
    if value.dtype.kind == "m":
        return (_duration(value, numpy),)
    if value.dtype.kind == "f":
        return (_number(value),)
    if value.dtype.kind == "c":
        raise NotJsonSerializable(value)
    return (_plain(value.item()),)


def _of_array(array: Any, numpy: Any) -> Any:
    if array.ndim == 0:
        return _plain(array[()])
    if array.dtype.kind == "f":
        return _of_floats(array.astype("f8"), numpy)
    return array.tolist() if array.dtype.kind in "biuU" else _list(array)


def _of_floats(array: Any, numpy: Any) -> Any:
    finite = numpy.isfinite(array)
    if not finite.all():
        array = array.astype(object)
        array[~finite] = None
    return array.tolist()


def _datetime_text(value: Any, numpy: Any) -> Optional[str]:
    """Write a datetime like Python and pandas: six digits of a second or none, nine for nanoseconds."""
    if numpy.isnat(value):
        return None
    coarse = value.astype("M8[us]")
    as_datetime = value.item() if isinstance(value.item(), datetime.date) else coarse.item()
    if coarse == value and isinstance(as_datetime, datetime.date):
        return as_datetime.isoformat()
    # Finer than Python's datetime, or of a year outside its range.
    return str(numpy.datetime_as_string(value))


def _duration(value: Any, numpy: Any) -> Any:
    if numpy.datetime_data(value.dtype)[0] in ("Y", "M"):
        # A month has no fixed number of seconds.
        return _plain(value.item())
    return _number(value / numpy.timedelta64(1, "s"))


def _of_pandas(value: Any) -> _Converted:
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return None
    if value is pandas.NaT or value is getattr(pandas, "NA", pandas.NaT):
        return (None,)
    if isinstance(value, pandas.Series):
        # As MLflow encodes a Series: records with its name.
        return (_records(value.to_frame()),)
    if isinstance(value, pandas.DataFrame):
        return (_records(value),)
    if isinstance(value, (pandas.Index, pandas.api.extensions.ExtensionArray)):
        return (_list(value),)
    if isinstance(value, (pandas.Period, pandas.Interval)):
        return (str(value),)
    return None


def _records(frame: Any) -> List[Dict[str, Any]]:
    names = [column_name(name) for name in frame.columns]
    if not names:
        return [{} for _ in range(len(frame))]
    columns = [_cells(frame.iloc[:, position]) for position in range(len(names))]
    return [dict(zip(names, row)) for row in zip(*columns)]


def _cells(column: Any) -> List[Any]:
    """Convert a column of numpy values at once."""
    is_numpy = type(column.dtype).__module__.startswith("numpy") and column.dtype.kind in "biuf"
    cells: List[Any] = _plain(column.to_numpy()) if is_numpy else _list(column)
    return cells
