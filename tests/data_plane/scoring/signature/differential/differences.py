"""The intended differences from MLflow. Each name is a row of docs/signature.md."""

import json
from typing import Any

from tests.data_plane.scoring.signature.differential import reference
from tests.data_plane.scoring.signature.differential.cases import Case

NESTED = ("array", "object", "map")


def of_refusal(case: Case, places: set[tuple[str, int]]) -> set[str | None]:
    """Name the difference for each value accepted by MLflow and refused here. None: a refusal has no explanation."""
    return {
        _of_value(entry, value, is_required=entry["required"])
        or _of_pivoting(case, entry, value)
        or _of_an_object_beside(case)
        for entry, value in _values_at(case, places)
    }


def _of_pivoting(case: Case, entry: dict[str, Any], value: Any) -> str | None:
    """Explain a refusal by pivoting: MLflow reads a column of scalars as the single Array of a single row."""
    is_nested = entry["type"] in NESTED or isinstance(value, list)
    is_pivoted = case.envelope in ("inputs", "instances") and is_nested
    return "instances and inputs make arrays of nested values" if is_pivoted else None


def _of_an_object_beside(case: Case) -> str | None:
    """Explain a refusal by an object column: MLflow reads the keys as rows, and an empty object gives no rows."""
    return "an object as a column" if dict in _beside_single_values(case) else None


def of_values(kind: str, given: list[Any]) -> set[str]:
    """Name the differences for the values of a tensor or a param outside the type."""
    found = (_of_value({"type": kind}, value, is_required=True) for value in given)
    return {name for name in found if name is not None}


def _values_at(case: Case, places: set[tuple[str, int]]) -> list[tuple[dict[str, Any], Any]]:
    found = []
    for name, entry, column in case.columns():
        found += [(entry, value) for row, value in enumerate(column) if (str(name), row) in places]
    return found


def _of_value(entry: dict[str, Any], value: Any, *, is_required: bool) -> str | None:
    try:
        reference.held(entry, value, is_required=is_required)
    except reference.Refused:
        pass
    else:
        return None
    if value is None:
        return "null where a value is required"
    if entry["type"] == "object" and value == {}:
        return "an empty object without its required properties"
    inner = _inner(entry, value)
    if inner is not None:
        return next((name for part in inner if (name := _of_value(*part[:2], is_required=part[2]))), None)
    return _of_scalar(entry["type"], value)


def _inner(entry: dict[str, Any], value: Any) -> list[tuple[dict[str, Any], Any, bool]] | None:
    match entry["type"], value:
        case "array", list():
            return [(entry["items"], item, True) for item in value]
        case "map", dict():
            return [(entry["values"], item, True) for item in value.values()]
        case "object", dict():
            declared = entry["properties"]
            return [(part, value[name], part["required"]) for name, part in declared.items() if name in value]
        case _:
            return None


def _of_scalar(kind: str, value: Any) -> str | None:
    match kind, value:
        case _, dict() if kind not in ("boolean", "string", "binary"):
            return "an object as a column"
        case "boolean", _:
            return "the truth of any value"
        case "string", _:
            return "any value as a string"
        case "binary", _:
            return "text that is no base64"
        case "integer" | "long" | "float" | "double" | "datetime", bool():
            return "a boolean as a number"
        case "datetime", int() | float():
            return "a number as a datetime"
        case "datetime", str():
            return "a datetime that is not ISO 8601"
        case "integer" | "long", float() if value % 1:
            return "a fraction cut off"
        case "integer" | "long", int() | float():
            return "an integer that wraps around"
        case "float" | "double", int() if abs(value) < 2**127:
            return "an integer rounded"
        case "float" | "double", int() | float():
            return "a number that overflows"
        case "integer" | "long" | "float" | "double", str():
            return "a number that JSON does not spell so"
        case _:
            return None


def of_column(case: Case, version: str, entry: dict[str, Any], column: list[Any]) -> str | None:
    """Name the difference for a column accepted by MLflow and here, with different input for the model."""
    is_pivoted = case.envelope in ("inputs", "instances")
    types = {kind for other in case.entries for kind in _types(other)}
    if entry["type"] == "boolean" and not entry["required"] and None in column:
        return "a missing boolean is false"
    beside = _beside_single_values(case)
    if dict in beside:
        return "an object as a column"
    if list in beside:
        return "single values beside a list are repeated"
    if entry["type"] == "boolean" and any(isinstance(value, str) for value in column):
        return "the truth of any value"
    if entry["type"] in ("integer", "long") and _becomes_doubles(column):
        return "an integer rounded"
    if entry["type"] in ("float", "double") and case.envelope not in SPLIT_OR_RECORDS and any(map(_is_huge, column)):
        return "an integer beyond 64 bits stays one of Python"
    if "binary" in _types(entry) and (entry["type"] in NESTED or case.envelope not in SPLIT_OR_RECORDS):
        return "base64 is decoded on some ways only"
    if {"datetime", "array"} <= _types(entry):
        return "moments in arrays are numbers"
    if "string" in _types(entry) and ZERO_AT_THE_END in json.dumps(column):
        return "a zero character at the end is lost"
    if is_pivoted and types & {*NESTED, "any"}:
        return "instances and inputs make arrays of nested values"
    if is_pivoted and None in column:
        return "null is the text None"
    return None


def _beside_single_values(case: Case) -> set[type]:
    """Return the types in a body with scalars, which is a single row here."""
    if not isinstance(case.body, dict) or case.envelope not in ("unwrapped", "inputs"):
        return set()
    kinds = set(map(type, case.body.values()))
    return kinds if kinds - {list} else set()


def _becomes_doubles(column: list[Any]) -> bool:
    """Return whether a fraction makes pandas convert large integers of the column to doubles."""
    return float in set(map(type, column)) and any(isinstance(value, int) and abs(value) > 2**53 for value in column)


def _is_huge(value: Any) -> bool:
    return isinstance(value, int) and not -(2**63) <= value < 2**63


ZERO_AT_THE_END = '\\u0000"'
SPLIT_OR_RECORDS = ("dataframe_split", "dataframe_records")


def of_order(case: Case, version: str) -> str | None:
    if version.startswith("2.9") and not all(entry["required"] for entry in case.entries):
        return "optional columns come last"
    return None


def _types(entry: dict[str, Any]) -> set[str]:
    inner = [entry.get("items"), entry.get("values"), *entry.get("properties", {}).values()]
    return {entry["type"]}.union(*(_types(part) for part in inner if part))


NAMES = (
    "null where a value is required",
    "an empty object without its required properties",
    "the truth of any value",
    "any value as a string",
    "text that is no base64",
    "a boolean as a number",
    "an object as a column",
    "a number as a datetime",
    "a datetime that is not ISO 8601",
    "a fraction cut off",
    "an integer that wraps around",
    "an integer rounded",
    "a number that overflows",
    "a number that JSON does not spell so",
    "single values beside a list are repeated",
    "a missing boolean is false",
    "an integer beyond 64 bits stays one of Python",
    "base64 is decoded on some ways only",
    "moments in arrays are numbers",
    "instances and inputs make arrays of nested values",
    "null is the text None",
    "a zero character at the end is lost",
    "optional columns come last",
)
