"""Names the differences from the answers of MLflow's scoring server, as docs/signature.md lists them."""

import base64
import binascii
import json
from typing import Any

from tests.data_plane.parity.comparison import Exchange

_NUMPY = "numbers in nested values are numpy's"
_ARRAYS = "instances and inputs make arrays of nested values"
_SINGLE = "a single value without a signature is an array"
_BASE64 = "base64 is decoded on some ways only"
_NONE = "null is the text None"
_MISSING = "a text absent from a record is NaN"
_SCALARS = {"int64": "int", "int32": "int", "float64": "float", "float32": "float", "bool_": "bool", "str_": "str"}

# Refused here, where MLflow answers.
REFUSED = {
    "any value as a string": {"value_text, request 2", "from_example_texts, request 2"},
    "params that are no object": {"params_undeclared, request 7", "context, request 7"},
}
# Answered here, where MLflow refuses.
ANSWERED = {
    "lists of different lengths": {
        "declared_array_of_arrays, serving_input_example.json",
        "declared_array_of_arrays, input_example.json as inputs",
    },
    "datetimes in an Array or an Object": {
        "declared_array_of_datetimes, serving_input_example.json",
        "declared_object_of_datetime, serving_input_example.json",
    },
    "null in an optional binary": {"frame_missing_bytes, serving_input_example.json"},
    "a frame under `inputs`": {f"params_{kind}, input_example.json" for kind in ("given", "inferred", "not_taken")},
    "CSV for a type hint": {
        "hint_datetimes, request 0",
        "hint_any, request 0",
        "hint_points, request 0",
        "hint_points, request 1",
    },
    "no rows": {"from_example_texts, request 3"},
}
NAMES = {_NUMPY, _ARRAYS, _SINGLE, _BASE64, _NONE, _MISSING, *REFUSED, *ANSWERED}


def differences(exchange: Exchange) -> set[str] | None:
    """Return the names of the differences. None: a difference without a name."""
    theirs, ours = exchange.mlflow, exchange.ours
    if theirs.status != 200 and ours.status != 200:
        # MLflow answers some inputs that it cannot read with 500.
        return set() if 400 <= ours.status < 500 else None
    if ours.status != 200:
        return _named(REFUSED, exchange.name)
    if theirs.status != 200:
        return _named(ANSWERED, exchange.name)
    names: set[str] = set()
    is_same = _compare(json.loads(theirs.text), json.loads(ours.text), names)
    return names if is_same else None


def _named(expected: dict[str, set[str]], exchange: str) -> set[str] | None:
    return {name for name, exchanges in expected.items() if exchange in exchanges} or None


def _compare(theirs: Any, ours: Any, names: set[str]) -> bool:
    """Compare descriptions of values, and collect the names of the differences."""
    if theirs == ours:
        return True
    match theirs, ours:
        case {"array": str(), "shape": shape, "values": values}, _ if not _is_array(ours):
            names.add(_ARRAYS if shape else _SINGLE)
            return _compare(values, ours, names)
        case ["str" | "str_", "None"], None | ["float", "nan"]:
            names.add(_NONE)
            return True
        case ["float", "nan"], None:
            names.add(_MISSING)
            return True
        case [str(kind), str(text)], [str(our_kind), str(our_text)]:
            return _compare_scalars(kind, text, our_kind, our_text, names)
        case dict(), dict() if theirs.keys() == ours.keys():
            return all(_compare(theirs[key], ours[key], names) for key in theirs)
        case list(), list() if len(theirs) == len(ours):
            return all(_compare(*pair, names) for pair in zip(theirs, ours, strict=True))
        case _:
            return False


def _compare_scalars(kind: str, text: str, our_kind: str, our_text: str, names: set[str]) -> bool:
    if our_kind == "bytes":
        # MLflow hands over the text, or the bytes of the text.
        written = text.encode() if kind == "str" else base64.b64decode(text)
        names.add(_BASE64)
        try:
            return base64.decodebytes(written) == base64.b64decode(our_text)
        except binascii.Error:
            return False
    names.add(_NUMPY)
    return _SCALARS.get(kind) == our_kind and text == our_text


def _is_array(value: Any) -> bool:
    return isinstance(value, dict) and "array" in value
