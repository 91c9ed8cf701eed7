"""Parse numbers from text, by JSON's grammar and without rounding of integers."""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

_JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_MAX_LENGTH = 400
_NUMBERS = {int, float}
_EXACT_DOUBLE = 2**53
# A 64-bit integer has at most 20 digits; a larger exponent would only build a huge integer to compare.
_MAX_DIGITS = 20


def parse_numbers(texts: Sequence[str]) -> list[int | float] | None:
    """Parse one JSON number per text, in one call. None: the fast path cannot tell, use `parse_number`."""
    joined = ",".join(texts)
    if not joined.isascii() or any(space in joined for space in " \t\n\r"):
        return None
    try:
        spelled: list[int | float] = orjson.loads(f"[{joined}]")
    except orjson.JSONDecodeError:
        return None
    # Only numbers, as many as texts: so no text contained a bracket or a comma.
    if len(spelled) != len(texts) or not set(map(type, spelled)) <= _NUMBERS:
        return None
    # Beyond 2**53 orjson may have rounded a number.
    return spelled if all(-_EXACT_DOUBLE < number < _EXACT_DOUBLE for number in spelled) else None


def parse_number(text: str) -> int | float | None:
    """Parse a JSON number. None: the text is not a number."""
    spelled = _JSON_NUMBER.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if spelled is None:
        return None
    return int(text) if spelled.group(1) is None and spelled.group(2) is None else float(text)


def parse_whole_number(value: Any) -> int | None:
    match value:
        case bool():
            return None
        case int():
            return value
        case float() if value.is_integer():
            return int(value)
        case str() if len(value) <= _MAX_LENGTH and _JSON_NUMBER.fullmatch(value):
            return _whole_decimal(Decimal(value))
        case _:
            return None


def _whole_decimal(number: Decimal) -> int | None:
    """Convert without rounding: as a double, "9007199254740993.0" would become 9007199254740992."""
    if number.adjusted() > _MAX_DIGITS:
        return None
    whole = int(number)
    return whole if whole == number else None
