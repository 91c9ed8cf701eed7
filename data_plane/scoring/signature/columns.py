"""Enforce a column signature: the body becomes a frame of exactly the declared columns, in the declared order.

Columns of one type are converted together: in a wide frame of few rows, calls cost more than values.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.payload.values import BlockPayload, Column, FramePayload, Index, Payload
from data_plane.scoring.signature.layouts import DeclaredColumns, Layouts
from data_plane.scoring.signature.row_labels import are_default
from data_plane.scoring.signature.rule import Rule, convert
from data_plane.scoring.signature.schema import ColumnSpec
from data_plane.scoring.signature.table import Table, TypedColumn
from data_plane.scoring.signature.typed import convert_typed
from data_plane.scoring.signature.violations import ViolationCollector
from data_plane.scoring.types import NUMBERS_AND_BOOLEANS

_LIST = {list}


class ColumnInputs:
    def __init__(self, specs: Sequence[ColumnSpec]) -> None:
        self._specs = specs
        self._layouts = Layouts(specs)
        self._is_named = specs[0].name is not None
        self._names = tuple(position if spec.name is None else spec.name for position, spec in enumerate(specs))
        self._labels = [str(name) for name in self._names]
        self._groups = _groups(specs)
        types = {spec.rule.logical_type for spec in specs}
        self._only_rule = specs[0].rule if len(types) == 1 and types <= NUMBERS_AND_BOOLEANS else None

    def from_json(self, input_data: Any, collector: ViolationCollector) -> Payload | None:
        block = self._block_of_split(input_data)
        if block is not None:
            return block
        found = self._layouts.read(input_data, collector)
        if found is None:
            return None
        block = self._block_of_columns(found)
        if block is not None:
            return block
        self._find_missing(found.columns, collector)
        columns: list[Column | None] = [None] * len(self._specs)
        for rule, places in self._groups:
            self._convert_group(rule, places, found, columns)
        for place, values in enumerate(found.columns):
            if columns[place] is None and values is not None:
                columns[place] = self._convert_column(place, values, collector)
        return _frame(_with_names(columns, found.names), found.rows, found.row_index)

    def _block_of_split(self, body: Any) -> BlockPayload | None:
        """Convert the most frequent body in one call: split orientation, the declared names, numbers of one type."""
        if self._only_rule is None or type(body) is not dict or body.get("columns") != self._labels:
            return None
        rows = body.get("data")
        if type(rows) is not list or not rows or not are_default(body.get("index"), len(rows)):
            return None
        if len(rows) > 1:
            if set(map(type, rows)) != _LIST or set(map(len, rows)) != {len(self._labels)}:
                return None
            flat = list(chain.from_iterable(rows))
        else:
            flat = rows[0]
            if type(flat) is not list or len(flat) != len(self._labels):
                return None
        converted = self._only_rule.convert_all(flat, set(map(type, flat)))
        if not isinstance(converted, np.ndarray):
            return None
        by_column = np.ascontiguousarray(converted.reshape(len(rows), -1).T)
        return BlockPayload(self._names, self._only_rule.logical_type, by_column)

    def _block_of_columns(self, found: DeclaredColumns) -> BlockPayload | None:
        """Convert all columns in one call. None: several types, a missing column, or a value that is not a number."""
        if self._only_rule is None or None in found.columns:
            return None
        flat = list(chain.from_iterable(found.columns))  # type: ignore[arg-type] # no column is None
        converted = self._only_rule.convert_all(flat, set(map(type, flat)))
        if not isinstance(converted, np.ndarray):
            return None
        names = self._names if found.names is None else tuple(found.names)
        block = converted.reshape(len(self._names), found.rows)
        return BlockPayload(names, self._only_rule.logical_type, block, found.row_index)

    def from_table(self, table: Table, collector: ViolationCollector) -> Payload | None:
        given = self._in_declared_order(table, collector)
        if given is None:
            return None
        self._find_missing(given, collector)
        columns = [
            None if column is None else self._convert_typed(place, column, collector, is_text=table.is_text)
            for place, column in enumerate(given)
        ]
        return _frame(columns if self._is_named else _with_names(columns, table.names), table.rows, table.row_index)

    def from_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], collector: ViolationCollector) -> Payload | None:
        table = as_table(arrays, self._labels, collector)
        return None if table is None else self.from_table(table, collector)

    def _in_declared_order(self, table: Table, collector: ViolationCollector) -> Sequence[TypedColumn | None] | None:
        """Return the declared columns in the declared order. None in place of a column: the table lacks the column."""
        if table.names is not None and self._is_named:
            places = self._layouts.places_of(table.names, collector)
            return [None if place is None else table.columns[place] for place in places]
        if not self._layouts.fits(len(table.columns)):
            collector.add(None, None, f"{len(self._specs)} columns", str(len(table.columns)))
            return None
        absent = [None] * (len(self._specs) - len(table.columns))
        return [*table.columns[: len(self._specs)], *absent]

    def _find_missing(self, columns: Sequence[object], collector: ViolationCollector) -> None:
        """Add a violation per missing column. Present columns are still converted, so that all violations are found."""
        if None not in columns:
            return
        present = [label for label, column in zip(self._labels, columns, strict=True) if column is not None]
        for place, spec in enumerate(self._specs):
            if columns[place] is None and spec.required:
                collector.add_missing(self._labels[place], spec.rule.type_name, present)

    def _convert_group(
        self, rule: Rule, places: Sequence[int], found: DeclaredColumns, columns: list[Column | None]
    ) -> None:
        """Convert the columns of one type in one call. On failure the columns stay None, to be converted singly."""
        values = [found.columns[place] for place in places]
        if None in values:
            return
        flat = list(chain.from_iterable(values))  # type: ignore[arg-type] # no column is None
        bulk = rule.convert_all(flat, set(map(type, flat)))
        if not isinstance(bulk, np.ndarray):
            return
        for place, converted in zip(places, bulk.reshape(len(places), found.rows), strict=True):
            columns[place] = Column(self._names[place], rule.logical_type, converted)

    def _convert_column(self, place: int, values: Sequence[Any], collector: ViolationCollector) -> Column:
        spec = self._specs[place]
        null_allowed = not spec.required
        converted, nulls = convert(spec.rule, values, self._labels[place], collector, null_allowed=null_allowed)
        return Column(self._names[place], spec.rule.logical_type, converted, nulls)

    def _convert_typed(
        self, place: int, column: TypedColumn, collector: ViolationCollector, *, is_text: bool
    ) -> Column:
        spec = self._specs[place]
        converted, nulls = convert_typed(
            spec.rule, column, self._labels[place], collector, null_allowed=not spec.required, is_text=is_text
        )
        return Column(self._names[place], spec.rule.logical_type, converted, nulls)


def as_table(
    arrays: Mapping[str, npt.NDArray[Any]], labels: Sequence[str], collector: ViolationCollector
) -> Table | None:
    """Make a table of one tensor per column, or of a single tensor (rows, columns) with an undeclared name."""
    if len(arrays) == 1 and next(iter(arrays)) not in labels:
        (only,) = arrays.values()
        if only.ndim == 2:
            return Table(None, tuple(map(TypedColumn, only.T)), len(only))
    lengths = {len(array) if array.ndim else -1 for array in arrays.values()}
    if len(lengths) != 1 or -1 in lengths:
        collector.add(None, None, "tensors of the same length, with one value per row", "tensors of different lengths")
        return None
    columns = tuple(TypedColumn(_flat(array)) for array in arrays.values())
    return Table(tuple(arrays), columns, lengths.pop())


def _flat(array: npt.NDArray[Any]) -> npt.NDArray[Any] | list[Any]:
    column = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    return column.tolist() if column.dtype.hasobject else column


def _with_names(columns: Sequence[Column | None], names: Sequence[str | int] | None) -> Sequence[Column | None]:
    """Rename columns to the body's names, if the signature has no names."""
    if names is None:
        return columns
    return [column and column._replace(name=name) for column, name in zip(columns, names, strict=False)]


def _frame(columns: Sequence[Column | None], rows: int, index: Index) -> FramePayload:
    return FramePayload(tuple(column for column in columns if column is not None), rows, index)


def _groups(specs: Sequence[ColumnSpec]) -> list[tuple[Rule, tuple[int, ...]]]:
    """Return the positions of the columns of each type with two columns or more."""
    places: dict[str, list[int]] = {}
    for place, spec in enumerate(specs):
        if spec.rule.logical_type in NUMBERS_AND_BOOLEANS:
            places.setdefault(spec.rule.logical_type, []).append(place)
    return [(specs[group[0]].rule, tuple(group)) for group in places.values() if len(group) > 1]
