"""Columns that no signature declares: their types as pandas would infer them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.guests.codec import Column, LogicalType
from data_plane.signature.nested import ANY
from data_plane.signature.numbers import BOOLEAN, DOUBLE, LONG
from data_plane.signature.rule import NONE_TYPE, Rule
from data_plane.signature.table import TypedColumn
from data_plane.signature.texts import BINARY, STRING

_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_NUMBER = re.compile(
    r"\s*[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|inf|infinity)\s*",
    re.ASCII | re.IGNORECASE,
)
_TRUTHS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}

# What travels has one of these widths; a narrower number is held by the next wider.
_ARRAY_TYPES: dict[str, tuple[LogicalType, str]] = {
    **dict.fromkeys(["int8", "int16", "int32", "uint8", "uint16"], ("integer", "int32")),
    **dict.fromkeys(["int64", "uint32"], ("long", "int64")),
    **dict.fromkeys(["float16", "float32"], ("float", "float32")),
    "float64": ("double", "float64"),
    "bool": ("boolean", "bool"),
}


def infer_json(name: str | int, values: Sequence[Any]) -> Column:
    kinds = set(map(type, values))
    rule = _rule_of(kinds)
    bulk = rule.many(values, kinds)
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
    """Arrays keep their type, in one of the widths that travel."""
    values = column.values
    if isinstance(values, np.ndarray) and values.dtype.kind == "M":
        return Column(name, "datetime", values.astype("datetime64[ns]"), column.nulls)
    if isinstance(values, np.ndarray) and values.dtype.name in _ARRAY_TYPES and values.ndim == 1:
        logical_type, dtype = _ARRAY_TYPES[values.dtype.name]
        return Column(name, logical_type, values.astype(dtype, copy=False), column.nulls)
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
    """A column of CSV, where None is missing."""
    texts = list(column.values)
    present = [text for text in texts if text is not None]
    missing = np.array([text is None for text in texts], dtype=bool)
    if all(map(_INTEGER.fullmatch, present)) and present and (longs := _longs(present)) is not None:
        return Column(name, "double", _spread(longs, missing, np.nan)) if missing.any() else Column(name, "long", longs)
    if all(map(_NUMBER.fullmatch, present)):
        return Column(name, "double", _spread(np.array(list(map(float, present))), missing, np.nan))
    if all(map(_TRUTHS.__contains__, present)):
        truths = np.array([_TRUTHS[text] for text in present], dtype=bool)
        return Column(name, "boolean", _spread(truths, missing, False), missing if missing.any() else None)
    return Column(name, "string", texts)


def _longs(texts: list[str]) -> npt.NDArray[Any] | None:
    try:
        return np.array([int(text) for text in texts], dtype=np.int64)
    except (OverflowError, ValueError):
        return None


def _spread(values: npt.NDArray[Any], missing: npt.NDArray[np.bool_], absent: Any) -> npt.NDArray[Any]:
    """The values at their rows."""
    whole = np.full(len(missing), absent, dtype=float if isinstance(absent, float) else values.dtype)
    whole[~missing] = values
    return whole
