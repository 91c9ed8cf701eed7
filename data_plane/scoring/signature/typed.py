"""Enforce the rules on typed columns: CSV's text, and arrays of Parquet and Open Inference.

An array is converted in one call if the dtype allows. Otherwise, and to describe violations, the values are converted
one by one like values from JSON.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.scoring.signature.json_values import parse_json
from data_plane.scoring.signature.nested import JSON_TYPE, is_any
from data_plane.scoring.signature.rule import ColumnValues, Rule, convert
from data_plane.scoring.signature.table import TypedColumn
from data_plane.scoring.signature.texts import BINARY
from data_plane.scoring.signature.violations import ViolationCollector
from data_plane.scoring.types import TYPES, WITH_NAN

Converted = tuple[ColumnValues, npt.NDArray[np.bool_] | None]


def convert_typed(
    rule: Rule,
    column: TypedColumn,
    name: str,
    collector: ViolationCollector,
    *,
    null_allowed: bool,
    is_text: bool = False,
) -> Converted:
    """Return the converted column and its null bitmap (True where a value is missing). Mismatches go to `collector`."""
    values, missing = column.values, _missing(rule, column)
    if isinstance(values, np.ndarray) and values.dtype.kind in "biufM" and values.ndim == 1:
        converted = _convert_array(rule, values, missing, null_allowed=null_allowed)
        if converted is not None:
            return converted
    as_json = _as_json(rule, values, is_text=is_text)
    if missing is not None:
        as_json = [None if absent else value for value, absent in zip(as_json, missing.tolist(), strict=True)]
    return convert(rule, as_json, name, collector, null_allowed=null_allowed)


def _missing(rule: Rule, column: TypedColumn) -> npt.NDArray[np.bool_] | None:
    """Return the null bitmap. NaN is a value for a float type and missing for any other type; NaT is always missing."""
    values, missing = column.values, column.nulls
    if isinstance(values, np.ndarray) and (
        values.dtype.kind == "M" or (values.dtype.kind == "f" and rule.logical_type not in WITH_NAN)
    ):
        unknown = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
        unknown = unknown.any(axis=tuple(range(1, unknown.ndim)))
        missing = unknown if missing is None else missing | unknown
    return missing if missing is not None and missing.any() else None


def _convert_array(
    rule: Rule, values: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None, *, null_allowed: bool
) -> Converted | None:
    if missing is None:
        converted = rule.convert_array(values)
        return None if converted is None else (converted, None)
    if not (null_allowed or rule.accepts_null):
        return None
    converted = rule.convert_array(values[~missing])
    if not isinstance(converted, np.ndarray):
        return None
    whole = np.full(len(values), TYPES[rule.logical_type].placeholder, dtype=converted.dtype)
    whole[~missing] = converted
    return whole, None if rule.accepts_null else missing


def _as_json(rule: Rule, values: npt.NDArray[Any] | list[Any], *, is_text: bool) -> list[Any]:
    as_json = to_list(values)
    if rule is not BINARY and bytes in set(map(type, as_json)):
        as_json = [_text(value) for value in as_json]
    if is_text and rule.logical_type == JSON_TYPE and not is_any(rule):
        as_json = json_of_texts(as_json)
    return as_json


def json_of_texts(texts: list[Any]) -> list[Any]:
    """Parse nested values in CSV. Text that is not JSON stays text, which the rule refuses."""
    return [_json(text) for text in texts]


def to_list(values: npt.NDArray[Any] | list[Any]) -> list[Any]:
    if isinstance(values, list):
        return values
    # Datetimes as text: tolist() of datetime64[ns] would return integers.
    plain: list[Any] = (np.datetime_as_string(values) if values.dtype.kind == "M" else values).tolist()
    return plain


def _text(value: Any) -> Any:
    """Decode text that Open Inference sent as bytes. The rule refuses bytes that are not UTF-8."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _json(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    try:
        return parse_json(text.encode())
    except orjson.JSONDecodeError:
        return text
