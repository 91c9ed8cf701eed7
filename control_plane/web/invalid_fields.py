"""A field that a request's schema refuses, in a sentence with the field, the accepted values and the sent value."""

import json
from collections.abc import Mapping
from typing import Any

from modelyard.core.domain.storable_text import storable_text

_LONGEST_VALUE = 80
_PLACES = ("body", "query", "path", "header")
_WHOLE_NUMBER = "must be a whole number"
_DURATION = "must be an ISO 8601 duration, such as PT30S"
# By the types of pydantic's errors, https://docs.pydantic.dev/latest/errors/validation_errors.
_EXPECTED: Mapping[str, str] = {
    "string_type": "must be a string",
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be an array",
    "time_delta_type": _DURATION,
    "time_delta_parsing": _DURATION,
    "timedelta_type": _DURATION,
    "timedelta_parsing": _DURATION,
    "datetime_type": "must be an ISO 8601 time, such as 2026-01-31T12:00:00Z",
    "datetime_parsing": "must be an ISO 8601 time, such as 2026-01-31T12:00:00Z",
    "datetime_from_date_parsing": "must be an ISO 8601 time, such as 2026-01-31T12:00:00Z",
}


def invalid_field(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return an error's detail, from an entry of `RequestValidationError.errors`."""
    if entry["type"] == "json_invalid":
        reason = entry.get("ctx", {}).get("error", "")
        return {"code": "InvalidJson", "message": f"the body is not valid JSON: {reason}", "target": ""}
    names = [str(part) for part in entry["loc"]]
    place = ".".join(names[1:] if names[:1] and names[0] in _PLACES else names)
    return {"code": "InvalidValue", "message": _sentence(entry, place or "the body"), "target": place}


def _sentence(entry: Mapping[str, Any], place: str) -> str:
    kind = entry["type"]
    if kind == "missing":
        return f"{place} is missing"
    if kind == "enum":
        # pydantic writes 'A', 'B' or 'C'.
        return f"{place} must be {entry['ctx']['expected'].replace(chr(39), '')}, not {_shown(entry['input'])}"
    if kind in _EXPECTED:
        return f"{place} {_EXPECTED[kind]}, not {_shown(entry['input'])}"
    return f"{place}: {entry['msg']}"


def _shown(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = type(value).__name__
    text = storable_text(text, max_characters=_LONGEST_VALUE * 4)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
