"""Lossless JSON, for values that orjson alone rounds or refuses, and the checks of undeclared names and values."""

import json
from collections.abc import Iterable
from typing import Any

import orjson

from data_plane.scoring.payload.large_json import parse_large
from data_plane.scoring.signature.texts import is_unicode
from data_plane.scoring.signature.violations import ViolationCollector

_MAX_DEPTH = 200
_ANY_DIGIT_AS_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
# The shortest integer beyond 64 bits: -9223372036854775809. Without a sign it has 20 digits.
_DIGITS = b"0" * 19
_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**64 - 1
_MAX_LABEL = 2**53


def parse_json(body: bytes | memoryview) -> Any:
    """Parse JSON with exact integers: orjson makes doubles of integers over 64 bits. Raises orjson.JSONDecodeError."""
    return parse_large(bytes(body), _parsed)


def parse_json_or_nan(body: bytes) -> Any:
    """Parse JSON, or Python's JSON, in which MLflow's and Triton's clients write NaN. Raises ValueError."""
    try:
        return parse_json(body)
    except orjson.JSONDecodeError:
        if b"NaN" not in body and b"Infinity" not in body:
            raise
    try:
        return json.loads(body.decode(), parse_int=_integer)
    except RecursionError as error:
        raise ValueError(str(error)) from None


def _integer(digits: str) -> int | float:
    """Make a float of an integer beyond 64 bits, like orjson."""
    value = int(digits)
    return value if _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER else float(digits)


def _parsed(text: bytes) -> Any:
    value = orjson.loads(text)
    if not _may_have_longer_integers(text):
        return value
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        # Nesting is too deep, or an integer has more digits than Python parses.
        return value


def _may_have_longer_integers(body: bytes) -> bool:
    zeros = body.translate(_ANY_DIGIT_AS_ZERO)
    place = zeros.find(_DIGITS)
    while place >= 0:
        before, end = zeros[place - 1 : place], place + len(_DIGITS)
        # Skip a fraction, and a run of digits that was examined before.
        if before not in (b".", b"0") and (before == b"-" or zeros[end : end + 1] == b"0"):
            return True
        place = zeros.find(_DIGITS, end)
    return False


def can_be_sent(value: Any, collector: ViolationCollector) -> bool:
    """Return whether an undeclared value can be sent to the worker as JSON. If not, add a violation."""
    if not is_portable(value):
        collector.add(None, None, f"values nested at most {_MAX_DEPTH} deep", "deeper ones")
        return False
    return True


def is_portable(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return _is_shallow(value)
    return True


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return True
    return False


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def check_labels(names: Iterable[Any], collector: ViolationCollector) -> bool:
    """Return whether all undeclared names of columns or tensors are valid. If not, add a violation."""
    if all(map(_is_label, names)):
        return True
    collector.add(None, None, "names that are text or whole numbers", "something else")
    return False


def _is_label(name: Any) -> bool:
    if type(name) is int:
        return -_MAX_LABEL <= name <= _MAX_LABEL
    return type(name) is str and is_unicode(name)
