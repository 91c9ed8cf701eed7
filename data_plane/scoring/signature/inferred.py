"""Infer the types of undeclared columns as pandas does."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.payload.values import Column
from data_plane.scoring.signature.nested import ANY
from data_plane.scoring.signature.numbers import BOOLEAN, DOUBLE, LONG
from data_plane.scoring.signature.rule import NONE_TYPE, Rule
from data_plane.scoring.signature.table import TypedColumn
from data_plane.scoring.signature.texts import BINARY, DATETIME, STRING
from data_plane.scoring.types import DTYPES, TYPES_BY_DTYPE, LogicalType

_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_NUMBER = re.compile(
    r"\s*[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|inf|infinity)\s*",
    re.ASCII | re.IGNORECASE,
)
_BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


def infer_json(name: str | int, values: Sequence[Any]) -> Column:
    kinds = set(map(type, values))
    rule = _rule_of(kinds)
    bulk = rule.convert_all(values, kinds)
    if isinstance(bulk, np.ndarray):
        return Column(name, rule.logical_type, bulk)
    return Column(name, rule.logical_type if rule in (STRING, BINARY) else "json", list(values))


def _rule_of(kinds: set[type]) -> Rule:
    if kinds == {bool}:
        return BOOLEAN
    if kinds == {int}:
        return LONG
    if kinds and kinds <= {int, float, NONE_TYPE} and kinds != {NONE_TYPE}:
        return DOUBLE
    if kinds == {bytes}:
        return BINARY
    return STRING if kinds == {str} else ANY


def infer_typed(name: str | int, column: TypedColumn) -> Column:
    """Keep the type of an array, in a width that the wire format supports. Raises InvalidBody."""
    values = column.values
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        converted = DATETIME.convert_array(values)
        if converted is None:
            raise InvalidBody(f"{name!r} has datetimes that 64 bits of nanoseconds do not hold (from 1677 to 2262)")
        return Column(name, "datetime", converted, column.nulls)
    if isinstance(values, np.ndarray) and values.dtype.name in TYPES_BY_DTYPE and values.ndim == 1:
        logical_type = TYPES_BY_DTYPE[values.dtype.name]
        return Column(name, logical_type, values.astype(DTYPES[logical_type], copy=False), column.nulls)
    listed = list(values) if isinstance(values, list) else values.tolist()
    if column.nulls is not None:
        listed = [None if absent else value for value, absent in zip(listed, column.nulls.tolist(), strict=True)]
    return _inferred_with_missing(name, listed)


def _inferred_with_missing(name: str | int, values: list[Any]) -> Column:
    kinds = set(map(type, values)) - {NONE_TYPE}
    if kinds in ({str}, {bytes}):
        return Column(name, "string" if kinds == {str} else "binary", values)
    return infer_json(name, values)


def infer_text(name: str | int, column: TypedColumn) -> Column:
    """Infer the type of a CSV column. None marks a missing value."""
    if isinstance(column.values, np.ndarray):
        return infer_typed(name, column)
    texts = column.values
    present = [text for text in texts if text is not None]
    missing = np.array([text is None for text in texts], dtype=bool)
    match column.kind or resolve_type(type_of_texts(present), is_any_missing=bool(missing.any())):
        case "long":
            return Column(name, "long", np.array(list(map(int, present)), dtype=np.int64))
        case "double":
            return Column(name, "double", _scatter(np.array(list(map(float, present))), missing, np.nan))
        case "boolean":
            truths = np.array([_BOOLEANS[text] for text in present], dtype=bool)
            return Column(name, "boolean", _scatter(truths, missing, False), missing if missing.any() else None)
        case _:
            return Column(name, "string", texts)


def type_of_texts(present: Sequence[str]) -> LogicalType | None:
    """Infer the type of a column from the values present. None: every value is missing."""
    if not present:
        return None
    if all(map(_INTEGER.fullmatch, present)) and _are_longs(present):
        return "long"
    if all(map(_NUMBER.fullmatch, present)):
        return "double"
    return "boolean" if all(map(_BOOLEANS.__contains__, present)) else "string"


def common_type(one: LogicalType | None, other: LogicalType | None) -> LogicalType | None:
    """Return the type of a column from the types of two parts."""
    if one is None or other is None or one == other:
        return one or other
    return "double" if {one, other} == {"long", "double"} else "string"


def resolve_type(kind: LogicalType | None, *, is_any_missing: bool) -> LogicalType:
    """Infer double for an empty column, and for whole numbers with a missing value: pandas does the same."""
    return "double" if kind is None or (kind == "long" and is_any_missing) else kind


def _are_longs(texts: Sequence[str]) -> bool:
    try:
        np.array([int(text) for text in texts], dtype=np.int64)
    except (OverflowError, ValueError):
        return False
    return True


def _scatter(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_], absent: Any) -> npt.NDArray[Any]:
    """Scatter the present values to their rows; the other rows get `absent`."""
    whole = np.full(len(missing), absent, dtype=float if isinstance(absent, float) else values.dtype)
    whole[~missing] = values
    return whole
