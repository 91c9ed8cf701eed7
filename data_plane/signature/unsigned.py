"""Models without a signature, and models that declare their input by a type hint: the body's own shape decides.

columns and data make a frame, another dict named tensors, a list an array; a type-hint model takes the raw value.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.guests.codec import (
    ArrayPayload,
    ArraysPayload,
    Column,
    FramePayload,
    JsonPayload,
    LogicalType,
    Payload,
)
from data_plane.signature.nested import ANY
from data_plane.signature.numbers import BOOLEAN, DOUBLE, LONG
from data_plane.signature.rule import NONE_TYPE, Rule
from data_plane.signature.texts import STRING
from data_plane.signature.violations import Findings, describe

_LIST = {list}


class RawInputs:
    """For type hints: MLflow itself validates, in the model's own environment."""

    def payload(self, input_data: Any, findings: Findings) -> Payload | None:
        return JsonPayload(input_data)


class UnsignedInputs:
    def payload(self, input_data: Any, findings: Findings) -> Payload | None:
        match input_data:
            case {"columns": list(names), "data": list(rows)}:
                return _frame(names, rows, findings)
            case list():
                return _array_or_json(input_data)
            case dict():
                return _named_tensors(input_data)
            case None:
                findings.add(None, None, "data for the model", "null")
                return None
            case _:
                return JsonPayload(input_data)


def _frame(names: list[Any], rows: list[Any], findings: Findings) -> Payload | None:
    fitting = [row for row in rows if isinstance(row, list) and len(row) == len(names)]
    if len(fitting) < len(rows):
        for position, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(names):
                findings.add(None, position, f"a list of {len(names)} values, one per column", describe(row))
        return None
    columns = zip(*fitting, strict=True) if fitting else [()] * len(names)
    return FramePayload(tuple(map(_inferred_column, names, columns)), len(rows))


def _inferred_column(name: Any, values: Sequence[Any]) -> Column:
    """As pandas would infer it from such a list."""
    kinds = set(map(type, values))
    rule = _inferred_rule(kinds)
    label = name if type(name) is int else str(name)
    bulk = rule.many(values, kinds)
    if bulk is None or isinstance(bulk, list):
        logical_type: LogicalType = "string" if rule is STRING else "json"
        return Column(label, logical_type, list(values))
    return Column(label, rule.logical_type, bulk)


def _inferred_rule(kinds: set[type]) -> Rule:
    if kinds == {bool}:
        return BOOLEAN
    if kinds == {int}:
        return LONG
    if kinds and kinds <= {int, float, NONE_TYPE} and kinds != {NONE_TYPE}:
        return DOUBLE
    return STRING if kinds == {str} else ANY


def _named_tensors(body: dict[str, Any]) -> Payload:
    """A value that is no list has no tensor form; the model then gets the dict as it came."""
    arrays = {name: _array(value) for name, value in body.items() if isinstance(value, list)}
    held = {name: array for name, array in arrays.items() if array is not None}
    return ArraysPayload(held) if body and len(held) == len(body) else JsonPayload(body)


def _array_or_json(value: list[Any]) -> Payload:
    array = _array(value)
    return JsonPayload(value) if array is None else ArrayPayload(array)


def _array(value: list[Any]) -> npt.NDArray[Any] | None:
    """The array that numpy makes of it, unless that would change values (1 beside "a" would become "1")."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):
        return None
    if array.dtype.kind in "U" and not _all_texts(value):
        return None
    return None if array.dtype.hasobject else array


def _all_texts(value: list[Any]) -> bool:
    level: list[Any] = value
    while level and set(map(type, level)) == _LIST:
        level = list(chain.from_iterable(level))
    return set(map(type, level)) == {str}
