"""Text that spells a number, by JSON's grammar and read exactly."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_LONGEST_NUMBER = 400
_NUMBERS = {int, float}
_EXACT_DOUBLE = 2**53
# A whole number of 64 bits has at most twenty digits. More would only make a huge integer to compare with.
_MOST_DIGITS = 20


def numbers_in(texts: Sequence[str]) -> list[int | float] | None:
    """Return the JSON number of each text. None: a quick look cannot be sure that every text is a number."""
    joined = ",".join(texts)
    if not joined.isascii() or any(space in joined for space in " \t\n\r"):
        return None
    try:
        spelled: list[int | float] = orjson.loads(f"[{joined}]")
    except orjson.JSONDecodeError:
        return None
    # Only numbers, and as many as texts: no text contains a bracket or a comma.
    if len(spelled) != len(texts) or not set(map(type, spelled)) <= _NUMBERS:
        return None
    # A larger double may differ from the spelled number.
    return spelled if all(-_EXACT_DOUBLE < number < _EXACT_DOUBLE for number in spelled) else None


def number_in(text: str) -> int | float | None:
    """Return the JSON number that `text` spells, or None."""
    spelled = _JSON_NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if spelled is None:
        return None
    return int(text) if spelled.group(1) is None and spelled.group(2) is None else float(text)


def whole_number_of(value: Any) -> int | None:
    match value:
        case bool():
            return None
        case int():
            return value
        case float() if value.is_integer():
            return int(value)
        case str() if len(value) <= _LONGEST_NUMBER and _JSON_NUMBER.fullmatch(value):
            return _whole_decimal(Decimal(value))
        case _:
            return None


def _whole_decimal(number: Decimal) -> int | None:
    """Return the exact whole number, which "9007199254740993.0" read as a double is not."""
    if number.adjusted() > _MOST_DIGITS:
        return None
    whole = int(number)
    return whole if whole == number else None
