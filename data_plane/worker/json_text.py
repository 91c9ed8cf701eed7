"""Valid JSON for whatever a model may answer.

NaN and the infinities are null; numpy and pandas values become what MLflow's server makes of them; bytes are
base64. What JSON cannot express is refused with the name of its type, so that no caller ever meets invalid JSON.
"""

import base64
import dataclasses
import datetime
import decimal
import enum
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
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return (_mapping({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}),)
    for method in ("model_dump", "toarray"):
        # pydantic's models and scipy's sparse matrices, without importing either.
        if callable(getattr(type(value), method, None)):
            return (_plain(getattr(value, method)()),)
    return None


def _number(value: Any) -> Optional[float]:
    number = float(value)
    return number if math.isfinite(number) else None


def _mapping(value: Any) -> Dict[str, Any]:
    return {_key(key): _plain(entry) for key, entry in value.items()}


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    plain = _plain(key)
    if isinstance(plain, (dict, list)):
        raise Inexpressible(key)
    # As JSON itself would write it: true, null, 1, 0.5
    return plain if isinstance(plain, str) else json.dumps(plain)


def _list(values: Any) -> List[Any]:
    return [_plain(value) for value in values]


def _base64(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode("ascii")


_PYTHON_TYPES: Tuple[Tuple[Any, Callable[[Any], Any]], ...] = (
    (enum.Enum, lambda member: _plain(member.value)),
    (bool, bool),
    (int, int),
    ((float, decimal.Decimal), _number),
    (str, lambda text: str.__str__(text)),
    ((bytes, bytearray, memoryview), _base64),
    ((datetime.datetime, datetime.date, datetime.time), lambda moment: moment.isoformat()),
    (datetime.timedelta, lambda duration: duration.total_seconds()),
    ((uuid.UUID, pathlib.PurePath), str),
    (dict, _mapping),
    ((list, tuple, set, frozenset), _list),
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
        return (_moment(numpy.datetime_as_string(value)),)
    if value.dtype.kind == "m":
        return (_number(value / numpy.timedelta64(1, "s")),)
    if value.dtype.kind == "f":
        return (_number(value),)
    # A complex number stays one, and is refused.
    return (_plain(value.item()),) if value.dtype.kind != "c" else None


def _of_array(array: Any, numpy: Any) -> Any:
    if array.ndim == 0:
        return _plain(array[()])
    if array.dtype.kind == "f":
        array = array.astype("f8")
        return array.tolist() if numpy.isfinite(array).all() else _list(array)
    return array.tolist() if array.dtype.kind in "biuU" else _list(array)


def _moment(text: str) -> Optional[str]:
    """numpy's own text for a moment, without the zeros at its end."""
    if text == "NaT":
        return None
    return text.rstrip("0").rstrip(".") if "." in text else text


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
    names = [str(name) for name in frame.columns]
    return [dict(zip(names, map(_plain, row))) for row in frame.itertuples(index=False, name=None)]
