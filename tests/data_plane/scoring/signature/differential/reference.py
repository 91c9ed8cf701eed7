"""The rules of docs/signature.md in plain Python, value by value: a second implementation without fast paths."""

import base64
import binascii
import json
import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DATETIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_LIMITS = {"integer": 2**31, "long": 2**63}


class Refused(Exception):
    """The type does not hold the value."""


def held(entry: dict[str, Any], value: Any, *, is_required: bool) -> Any:
    kind = entry["type"]
    if value is None:
        if kind in ("float", "double"):
            return math.nan
        if kind == "any" or not is_required:
            return None
        raise Refused
    return _HELD[kind](entry, value)


def _boolean(_: Any, value: Any) -> bool:
    if value is True or value is False:
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise Refused


def _number(value: Any) -> Decimal:
    """Return the exact number in the request."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Refused
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise Refused
    return Decimal(value)


def _whole(entry: Any, value: Any) -> int:
    number, limit = _number(value), _LIMITS[entry["type"]]
    if number != number.to_integral_value() or not -limit <= number < limit:
        raise Refused
    return int(number)


def _real(entry: Any, value: Any) -> float:
    number = _number(value)
    is_integer = isinstance(value, int) or (isinstance(value, str) and not set(value) & set(".eE"))
    try:
        with np.errstate(over="ignore"):
            nearest = float(np.float32(float(value))) if entry["type"] == "float" else float(value)
    except OverflowError:
        raise Refused from None
    if math.isinf(nearest) or (is_integer and Decimal(nearest) != number):
        raise Refused
    return nearest


def _string(_: Any, value: Any) -> str:
    if not isinstance(value, str):
        raise Refused
    return value


def _binary(_: Any, value: Any) -> bytes:
    text = _string(None, value).replace("\r", "").replace("\n", "")
    for padding in ("", "=", "=="):
        try:
            held = base64.b64decode(text + padding, validate=True)
        except (binascii.Error, ValueError):
            continue
        # Without all of its padding, the text has to be the encoder's own.
        if not padding or base64.b64encode(held).decode() == text + padding:
            return held
    raise Refused


def _datetime(_: Any, value: Any) -> int:
    found = _DATETIME.fullmatch(_string(None, value))
    if not found:
        raise Refused
    date, minutes, seconds, fraction, zone = found.groups()
    try:
        timestamp = datetime.fromisoformat(f"{date}T{minutes or '00:00'}:{seconds or '00'}{zone or 'Z'}")
    except ValueError:
        raise Refused from None
    nanoseconds = (timestamp - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1) * 10**9
    nanoseconds += int((fraction or "").ljust(9, "0"))
    if not -(2**63) < nanoseconds < 2**63:
        raise Refused
    return nanoseconds


def _array(entry: Any, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Refused
    return [_part(entry["items"], item, is_required=True) for item in value]


def _map(entry: Any, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused
    return {key: _part(entry["values"], item, is_required=True) for key, item in value.items()}


def _object(entry: Any, value: Any) -> dict[str, Any]:
    declared = entry["properties"]
    if not isinstance(value, dict) or value.keys() - declared.keys():
        raise Refused
    if any(part["required"] and name not in value for name, part in declared.items()):
        raise Refused
    return {name: _part(declared[name], item, is_required=declared[name]["required"]) for name, item in value.items()}


def _part(entry: Any, value: Any, *, is_required: bool) -> Any:
    inner = held(entry, value, is_required=is_required)
    if value is None:
        return None
    return np.datetime64(inner, "ns") if entry["type"] == "datetime" else inner


_HELD = {
    "boolean": _boolean,
    "integer": _whole,
    "long": _whole,
    "float": _real,
    "double": _real,
    "string": _string,
    "binary": _binary,
    "datetime": _datetime,
    "array": _array,
    "map": _map,
    "object": _object,
    "any": lambda _, value: value,
}


def same(ours: Any, expected: Any) -> bool:
    return json.dumps(_spelled(ours), sort_keys=True) == json.dumps(_spelled(expected), sort_keys=True)


def _spelled(value: Any) -> Any:
    """Spell a value with type, sign of zero and NaN."""
    match value:
        case float():
            return ["float", value.hex()]
        case bytes():
            return ["bytes", value.hex()]
        case list():
            return [_spelled(item) for item in value]
        case dict():
            return {key: _spelled(item) for key, item in value.items()}
        case _:
            return [type(value).__name__, str(value)]
