"""Find the declared columns in a JSON body, in any usual layout of a table.

The layouts are split orientation, a list of records, a list of rows, a dict of columns, and a single record. The shape
tells the layouts apart; for an ambiguous dict, the declared names decide.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from data_plane.scoring.payload.values import Index
from data_plane.scoring.signature.json_values import check_labels
from data_plane.scoring.signature.nested import ArrayRule, ObjectRule, depth_of_array
from data_plane.scoring.signature.row_labels import read_labels
from data_plane.scoring.signature.schema import ColumnSpec
from data_plane.scoring.signature.violations import ViolationCollector, describe

_TABLE = "a table (split orientation, a list of records, a list of rows or an object of columns)"
_SPLIT_KEYS = frozenset({"columns", "index", "data"})
_LIST = {list}
_DICT = {dict}


@dataclass(frozen=True, slots=True)
class DeclaredColumns:
    """The declared columns found in a body."""

    columns: Sequence[Sequence[Any] | None]
    """In the signature's order. None: the body lacks the column."""
    rows: int
    names: Sequence[str | int] | None = None
    """The body's column names, if the signature has no names."""
    row_index: Index = ()


class Layouts:
    def __init__(self, specs: Sequence[ColumnSpec]) -> None:
        self._width = len(specs)
        self._labels = [None if spec.name is None else str(spec.name) for spec in specs]
        self._declared = frozenset(self._labels)
        self._named = self._labels[0] is not None if specs else True
        self._scalars = [
            label for label, spec in zip(self._labels, specs, strict=True) if spec.rule.logical_type != "json"
        ]
        self._makes_rows_of_dicts = any(isinstance(spec.rule, ArrayRule | ObjectRule) for spec in specs)
        self._array_depth = depth_of_array(specs[0].rule) if self._width == 1 else 0
        self._fewest = self._width - _optional_at_the_end(specs)

    def read(self, input_data: Any, collector: ViolationCollector) -> DeclaredColumns | None:
        """Return the declared columns. None: the body is not a table, and the reason is in `collector`."""
        match input_data:
            case dict() if self._is_split(input_data):
                return self._split(input_data, collector)
            case dict():
                return self._columns_or_record(input_data, collector)
            case []:
                return DeclaredColumns([()] * self._width, 0)
            case list():
                return self._list(input_data, collector)
            case str() | int() | float() if self._width == 1:
                return DeclaredColumns([[input_data]], 1)
            case _:
                collector.add(None, None, _TABLE, describe(input_data))
                return None

    def _is_split(self, body: Mapping[str, Any]) -> bool:
        if "data" not in body:
            return False
        return "columns" in body or ("data" not in self._labels and body.keys() <= _SPLIT_KEYS)

    def _split(self, body: Mapping[str, Any], collector: ViolationCollector) -> DeclaredColumns | None:
        data, names = body["data"], body.get("columns")
        if not isinstance(data, list) or not (names is None or isinstance(names, list)):
            collector.add(None, None, "lists under 'data' and 'columns'", "other values")
            return None
        index = read_labels(body.get("index"), len(data), collector)
        found = None if index is None else self._data_of_split(data, names, collector)
        return replace(found, row_index=index) if found is not None and index else found

    def _data_of_split(
        self, data: list[Any], names: list[Any] | None, collector: ViolationCollector
    ) -> DeclaredColumns | None:
        if names is None:
            # As in pandas, a list in `data` is a row; a list of an Array column alone could be its value.
            return self._rows(data, collector) if set(map(type, data)) == _LIST else self.read(data, collector)
        if not check_labels(names, collector):
            return None
        if not self._named:
            return self._rows(data, collector, names)
        columns = _transposed(data, len(names), len(names), collector)
        return None if columns is None else DeclaredColumns(self._ordered(names, columns, collector), len(data))

    def _ordered(
        self, names: Sequence[Any], columns: Sequence[Sequence[Any]], collector: ViolationCollector
    ) -> Sequence[Sequence[Any] | None]:
        if names == self._labels:
            return columns
        return [None if place is None else columns[place] for place in self.places_of(names, collector)]

    def fits(self, width: int) -> bool:
        """Return whether a table of `width` unnamed columns can hold the declared columns."""
        return width >= self._fewest and (width <= self._width or not self._named)

    def places_of(self, names: Sequence[Any], collector: ViolationCollector) -> list[int | None]:
        """Return the position of each declared column in `names`. None: the column is missing."""
        labels = [str(name) for name in names]
        places = {label: place for place, label in enumerate(labels)}
        collector.extra_columns = tuple(label for label in places if label not in self._declared)
        if len(places) < len(labels):
            for label, count in Counter(labels).items():
                if count > 1 and label in self._declared:
                    collector.add(label, None, "one column of this name", str(count))
        return [places.get(label) for label in self._labels if label is not None]

    def _list(self, body: list[Any], collector: ViolationCollector) -> DeclaredColumns | None:
        kinds = set(map(type, body))
        if kinds == _DICT:
            return self._records(body, collector)
        if self._array_depth:
            return self._arrays(body, collector)
        if kinds == _LIST:
            return self._rows(body, collector)
        if self._width == 1 and not kinds & {list, dict}:
            return DeclaredColumns([body], len(body))
        collector.add(None, None, _TABLE, "a list of other values, or of several kinds")
        return None

    def _arrays(self, body: list[Any], collector: ViolationCollector) -> DeclaredColumns | None:
        """Read the lists of a single column of arrays: the depth of nesting tells a value from a column from rows."""
        levels_above = _depth(body) - self._array_depth
        if levels_above <= 0:
            return DeclaredColumns([[body]], 1)
        return DeclaredColumns([body], len(body)) if levels_above == 1 else self._rows(body, collector)

    def _rows(
        self, rows: list[Any], collector: ViolationCollector, names: Sequence[Any] | None = None
    ) -> DeclaredColumns | None:
        """Take columns by position. A signature without names drops further columns and keeps the body's names."""
        widest = None if not self._named else self._width
        columns = _transposed(rows, self._fewest, widest, collector)
        if columns is None:
            return None
        if names is not None:
            collector.extra_columns = tuple(map(str, names[self._width :]))
            names = names[: self._width] if len(names) >= self._width and len(set(names)) == len(names) else None
        absent = [None] * (self._width - len(columns))
        return DeclaredColumns([*columns[: self._width], *absent], len(rows), names)

    def _records(self, records: list[dict[str, Any]], collector: ViolationCollector) -> DeclaredColumns | None:
        """Read a list of records. A record without a key of another record has null there."""
        if not self._named:
            names = list(records[0])
            return (
                self._rows([list(record.values()) for record in records], collector, names)
                if check_labels(names, collector)
                else None
            )
        present = dict.fromkeys(chain.from_iterable(records))
        collector.extra_columns = tuple(key for key in present if key not in self._declared)
        columns = [
            [record.get(label) for record in records] if label in present else None
            for label in self._labels
            if label is not None
        ]
        return DeclaredColumns(columns, len(records))

    def _columns_or_record(self, body: dict[str, Any], collector: ViolationCollector) -> DeclaredColumns | None:
        if not self._named:
            collector.add(None, None, "rows of unnamed columns (a list of lists)", "an object")
            return None
        if self._is_record(body):
            return self._records([body], collector)
        collector.extra_columns = tuple(key for key in body if key not in self._declared)
        columns = [body.get(label) for label in self._labels if label is not None]
        present = [body[label] for label in self._labels if label in body]
        lengths = {len(column) if isinstance(column, list) else -1 for column in present}
        if len(lengths) > 1 or -1 in lengths:
            collector.add(None, None, "an object of columns, each a list of the same length", "columns that differ")
            return None
        return DeclaredColumns(columns, lengths.pop() if lengths else 0)

    def _is_record(self, body: dict[str, Any]) -> bool:
        """Return whether a dict is a single record rather than a dict of columns.

        A scalar under the name of a scalar column makes the dict a record. If all given columns are nested, MLflow
        decides: a dict is a record if an Array or an Object is declared.
        """
        scalars = [body[label] for label in self._scalars if label in body]
        if scalars:
            return not any(isinstance(value, list) for value in scalars)
        nested = [body[label] for label in self._declared if label in body]
        return bool(nested) and (self._makes_rows_of_dicts or not any(isinstance(value, list) for value in nested))


def _optional_at_the_end(specs: Sequence[ColumnSpec]) -> int:
    count = 0
    for spec in reversed(specs):
        if spec.required:
            break
        count += 1
    return count


def _transposed(
    rows: list[Any], fewest: int, most: int | None, collector: ViolationCollector
) -> Sequence[Sequence[Any]] | None:
    """Transpose rows to columns. None: a row is not a list of the right length, and `collector` has the violations."""
    if not rows:
        return [()] * (most or fewest)
    if set(map(type, rows)) == _LIST:
        lengths = set(map(len, rows))
        if len(lengths) == 1 and fewest <= (length := lengths.pop()) and (most is None or length <= most):
            return list(zip(*rows, strict=True))
    _find_misfits(rows, fewest, most, collector)
    return None


def _find_misfits(rows: list[Any], fewest: int, most: int | None, collector: ViolationCollector) -> None:
    first = next((len(row) for row in rows if isinstance(row, list) and _fits(row, fewest, most)), fewest)
    expected = f"a list of {first} values, one per column"
    for position, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != first:
            collector.add(None, position, expected, describe(row))


def _fits(row: list[Any], fewest: int, most: int | None) -> bool:
    return len(row) >= fewest and (most is None or len(row) <= most)


def _depth(value: Any) -> int:
    """Return the depth of nested lists, measured along the first entries."""
    depth = 0
    while isinstance(value, list):
        depth += 1
        value = value[0] if value else None
    return depth
