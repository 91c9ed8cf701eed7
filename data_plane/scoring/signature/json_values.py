"""JSON in and out without loss: what orjson alone would round or refuse."""

import json
from typing import Any

import orjson

from data_plane.scoring.signature.large_json import parse_large
from data_plane.scoring.signature.violations import ViolationCollector

_DEEPEST = 200
_ANY_DIGIT_AS_ZERO = bytes.maketrans(b"123456789", b"0" * 9)
# The shortest integer beyond 64 bits: -9223372036854775809. Without a sign it has 20 digits.
_DIGITS = b"0" * 19


def parse_json(body: bytes | memoryview) -> Any:
    """Raises orjson.JSONDecodeError. Integers beyond 64 bits stay exact, where orjson would make doubles of them."""
    return parse_large(bytes(body), _parsed)


def _parsed(text: bytes) -> Any:
    value = orjson.loads(text)
    if not _may_have_longer_integers(text):
        return value
    try:
        return json.loads(text)
    except (RecursionError, ValueError):
        # Nested too deep, or an integer of more digits than Python reads.
        return value


def _may_have_longer_integers(body: bytes) -> bool:
    zeros = body.translate(_ANY_DIGIT_AS_ZERO)
    place = zeros.find(_DIGITS)
    while place >= 0:
        before, end = zeros[place - 1 : place], place + len(_DIGITS)
        # After a point, and inside a run that was looked at already, they are no integer.
        if before not in (b".", b"0") and (before == b"-" or zeros[end : end + 1] == b"0"):
            return True
        place = zeros.find(_DIGITS, end)
    return False


def can_travel(value: Any, collector: ViolationCollector) -> bool:
    """Whether a value that nothing declares can be sent on as JSON; if not, `collector` says why."""
    if not is_portable(value):
        collector.add(None, None, f"values nested at most {_DEEPEST} deep", "deeper ones")
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
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return True
    return False


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
