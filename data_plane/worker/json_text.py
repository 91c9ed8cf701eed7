"""Valid JSON for whatever a model may answer.

NaN and the infinities are null; numpy and pandas values become what MLflow's server makes of them; moments are ISO
8601, durations seconds, bytes base64. What JSON cannot express is refused with the name of its type, so that no caller
ever meets invalid JSON.
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


class Inexpressible(TypeError):
    """The model's answer holds something that JSON has no form for."""

    def __init__(self, value: Any) -> None:
        kind = type(value)
        super().__init__(
            "the model's answer holds a {}.{}, which JSON cannot express: let the model return numbers, text, "
            "lists, dicts, arrays or DataFrames".format(kind.__module__, kind.__qualname__)
        )


def json_text(answer: Any) -> bytes:
    try:
        return _dump(answer)
    except (TypeError, ValueError, RecursionError):
        # Not plain JSON values: the slow way around.
        pass
    try:
        return _dump(_plain(answer))
    except RecursionError:
        raise ValueError("the model's answer contains itself, or is nested too deep for JSON") from None


def _dump(value: Any) -> bytes:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    # Half of a surrogate pair has no UTF-8.
    return text.encode("utf-8", "replace")


def _plain(value: Any) -> Any:
    """The same value made of dict, list, str, int, float, bool and None."""
    if value is None or type(value) in (bool, int, str):
        return value
    for convert in (_of_numpy, _of_pandas, _of_python):
        converted = convert(value)
        if converted is not None:
            return converted[0]
    raise Inexpressible(value)


# A converter answers None for "not mine", and a tuple of one for a value, which may itself be None.
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
    """A key, which a DataFrame has for anything."""
    try:
        text = _key(name)
    except Inexpressible:
        text = str(name)
    return text.encode("utf-8", "replace").decode()


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    # A text may say NaN, and does in MLflow's answers.
    plain = float(key) if isinstance(key, float) else _plain(key)
    if isinstance(plain, (dict, list)):
        raise Inexpressible(key)
    # As JSON itself would write it: true, null, 1, 0.5
    return plain if isinstance(plain, str) else json.dumps(plain)


def _list(values: Any) -> List[Any]:
    return [_plain(value) for value in values]


def _base64(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode("ascii")


# How a value says itself what it is made of: pydantic's models (of both versions), the tables of polars and Arrow,
# MLflow's chat responses, scipy's sparse matrices, and tensors of any library. None of them is imported for it.
_OWN_FORMS = ("model_dump", "to_dicts", "to_pylist", "to_dict", "dict", "toarray", "__array__")

_PYTHON_TYPES: Tuple[Tuple[Any, Callable[[Any], Any]], ...] = (
    (enum.Enum, lambda member: _plain(member.value)),
    (bool, bool),
    (int, int),
    ((float, fractions.Fraction), _number),
    (decimal.Decimal, lambda number: _number(number) if number.is_finite() else None),
    (str, lambda text: str.__str__(text)),
    ((bytes, bytearray, memoryview), _base64),
    ((datetime.datetime, datetime.date, datetime.time), lambda moment: moment.isoformat()),
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
        return (_moment(value, numpy),)
    if value.dtype.kind == "m":
        return (_duration(value, numpy),)
    if value.dtype.kind == "f":
        return (_number(value),)
    if value.dtype.kind == "c":
        raise Inexpressible(value)
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


def _moment(value: Any, numpy: Any) -> Optional[str]:
    """As Python and pandas write it: with six digits of a second or none, and with nine where it has so many."""
    if numpy.isnat(value):
        return None
    coarse = value.astype("M8[us]")
    moment = value.item() if isinstance(value.item(), datetime.date) else coarse.item()
    if coarse == value and isinstance(moment, datetime.date):
        return moment.isoformat()
    # Finer than Python's datetime, or of a year that it does not have.
    return str(numpy.datetime_as_string(value))


def _duration(value: Any, numpy: Any) -> Any:
    if numpy.datetime_data(value.dtype)[0] in ("Y", "M"):
        # Nobody knows how many seconds a month has.
        return _plain(value.item())
    return _number(value / numpy.timedelta64(1, "s"))


def _of_pandas(value: Any) -> _Converted:
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return None
    if value is pandas.NaT or value is getattr(pandas, "NA", pandas.NaT):
        return (None,)
    if isinstance(value, pandas.Series):
        # As MLflow answers a Series: records with its name.
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
    """All at once where numpy has them."""
    is_numpy = type(column.dtype).__module__.startswith("numpy") and column.dtype.kind in "biuf"
    cells: List[Any] = _plain(column.to_numpy()) if is_numpy else _list(column)
    return cells
