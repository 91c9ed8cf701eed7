"""JSON as the protocol's clients send it: Triton's client writes NaN."""

import json
from typing import Any

import orjson

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import parse_json

_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**63), 2**64 - 1


def parse(text: bytes) -> Any:
    if not text:
        raise InvalidBody("the body is empty: send a JSON object with 'inputs'")
    try:
        return parse_json(text)
    except orjson.JSONDecodeError as error:
        return _parsed_with_nan(text, error)


def _parsed_with_nan(text: bytes, error: ValueError) -> Any:
    if b"NaN" in text or b"Infinity" in text:
        try:
            return json.loads(text.decode(), parse_int=_integer)
        except (ValueError, RecursionError) as other:
            error = ValueError(str(other))
    raise InvalidBody(f"the body is not JSON: {error}")


def _integer(digits: str) -> int | float:
    """Make a float of an integer beyond 64 bits, like orjson."""
    value = int(digits)
    return value if _SMALLEST_INTEGER <= value <= _LARGEST_INTEGER else float(digits)
