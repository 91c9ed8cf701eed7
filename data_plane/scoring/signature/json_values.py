"""Lossless JSON, for values that orjson alone rounds or refuses, and the checks of undeclared names and values.

Every route reads the same numbers: JSON's, exact integers, and NaN, Infinity and -Infinity as Python writes them.
"""

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
_MAX_LABEL = 2**53
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# The numbers have the length of the constants, so that errors name the right position.
_CONSTANTS = ((b"-Infinity", b"-0       "), (b"Infinity", b"0       "), (b"NaN", b"0  "))


def parse_json(body: bytes | memoryview) -> Any:
    """Parse JSON with exact integers and Python's constants NaN, Infinity and -Infinity.

    orjson refuses the constants, and makes doubles of integers over 64 bits. Raises orjson.JSONDecodeError.
    """
    return parse_large(bytes(body).removeprefix(_BYTE_ORDER_MARK), _parsed)


def _with_constants(text: bytes) -> Any:
    """Parse a text that is JSON to orjson with numbers in place of the constants, inside of strings, too."""
    checked = text
    for constant, number in _CONSTANTS:
        checked = checked.replace(constant, number)
    orjson.loads(checked)
    try:
        return json.loads(text)
    except RecursionError:
        raise orjson.JSONDecodeError("the values are nested too deeply", "", 0) from None
    except json.JSONDecodeError as error:
        raise orjson.JSONDecodeError(error.msg, error.doc, error.pos) from None


def _parsed(text: bytes) -> Any:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        if b"NaN" not in text and b"Infinity" not in text:
            raise
        return _with_constants(text)
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
