"""Input of models with type hints: the JSON value goes to the worker as is, and MLflow validates the value there.

A table becomes such a value: one column gives its values, several columns give records. MLflow converts a DataFrame for
a type hint in the same way. CSV's texts get the declared types first, because a type hint takes no text for a number.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.payload.values import JsonPayload, Payload
from data_plane.scoring.signature.inferred import infer_text, infer_typed
from data_plane.scoring.signature.json_values import can_be_sent
from data_plane.scoring.signature.nested import ANY, MapRule, ObjectRule, is_any
from data_plane.scoring.signature.rule import Rule
from data_plane.scoring.signature.schema import ColumnSpec, InputSpecs
from data_plane.scoring.signature.table import Table, TypedColumn
from data_plane.scoring.signature.tensor_layouts import as_frame
from data_plane.scoring.signature.typed import convert_typed, json_of_texts, to_list
from data_plane.scoring.signature.violations import ViolationCollector
from data_plane.scoring.types import NUMBERS_AND_BOOLEANS

_JSON = "a JSON value, because the model declares its input by a type hint"


class RawInputs:
    def __init__(self, inputs: InputSpecs) -> None:
        declared = [spec.rule for spec in inputs if isinstance(spec, ColumnSpec)]
        # MLflow writes one column without a name: the type of the list's items.
        self._rule: Rule = declared[0] if len(declared) == 1 else ANY

    def from_json(self, input_data: Any, collector: ViolationCollector) -> Payload | None:
        if isinstance(input_data, dict) and "columns" in input_data:
            # A type hint is a list, so an object can only be a table.
            table = as_frame(input_data)
            if table is not None:
                return self.from_table(table, collector)
        return _payload(input_data, collector)

    def from_table(self, table: Table, collector: ViolationCollector) -> Payload | None:
        names = table.names or tuple(map(str, range(len(table.columns))))
        if len(names) == 1 and not self._is_property(names[0], table.columns[0], is_text=table.is_text):
            return _payload(
                _values(self._rule, names[0], table.columns[0], collector, is_text=table.is_text), collector
            )
        if not (isinstance(self._rule, MapRule | ObjectRule) or is_any(self._rule)):
            collector.add(None, None, f"one column of {self._rule.type_name} values", f"{len(names)} columns")
            return None
        columns = [
            _values(self._rule_of(name), name, column, collector, is_text=table.is_text)
            for name, column in zip(names, table.columns, strict=True)
        ]
        return _payload([dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)], collector)

    def _is_property(self, name: str, column: TypedColumn, *, is_text: bool) -> bool:
        """Return whether a table's only column is a part of each value, and not the values themselves."""
        match self._rule:
            case ObjectRule(properties=properties):
                return name in (properties or {})
            case MapRule():
                values = json_of_texts(to_list(column.values)) if is_text else to_list(column.values)
                return not any(isinstance(value, dict) for value in values)
            case _:
                return False

    def _rule_of(self, name: str) -> Rule:
        match self._rule:
            case MapRule(values=values):
                return values.rule
            case ObjectRule(properties=properties) if properties and name in properties:
                return properties[name].member.rule
            case _:
                return ANY

    def from_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], collector: ViolationCollector) -> Payload | None:
        if len(arrays) != 1:
            collector.add(None, None, f"one tensor, or {_JSON}", f"{len(arrays)} tensors")
            return None
        (array,) = arrays.values()
        return self.from_json(array.tolist(), collector)


def _payload(value: Any, collector: ViolationCollector) -> Payload | None:
    return JsonPayload(value) if can_be_sent(value, collector) else None


def _values(
    rule: Rule, name: str, column: TypedColumn, collector: ViolationCollector, *, is_text: bool
) -> Sequence[Any]:
    """Return JSON values, or bytes and numpy datetimes from a typed column. A missing value is None, as in MLflow."""
    values, nulls = column.values, column.nulls
    if is_any(rule):
        inferred = infer_text(name, column) if is_text else infer_typed(name, column)
        values, nulls = inferred.values, inferred.nulls  # type: ignore[assignment] # a sequence is a list here
    elif rule.logical_type in NUMBERS_AND_BOOLEANS:
        values, nulls = convert_typed(rule, column, name, collector, null_allowed=True, is_text=is_text)
    listed = list(values) if isinstance(values, np.ndarray) and values.dtype.kind == "M" else to_list(values)
    if is_text and rule.logical_type == "json" and not is_any(rule):
        listed = json_of_texts(listed)
    missing = nulls.tolist() if nulls is not None else [_is_missing(value) for value in listed]
    return [None if absent else value for value, absent in zip(listed, missing, strict=True)]


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float | np.datetime64) and value != value)
