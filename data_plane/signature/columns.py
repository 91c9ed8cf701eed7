"""A column signature: the body becomes a frame of exactly the declared columns, in the declared order.

Columns of one type are converted together, because in a wide frame of few rows each call costs, not each value.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from data_plane.guests.codec import Column, FramePayload, Payload
from data_plane.signature.layouts import Layouts, Table
from data_plane.signature.rule import Rule, convert
from data_plane.signature.schema import ColumnSpec
from data_plane.signature.violations import Findings

_BULK_TYPES = frozenset({"boolean", "integer", "long", "float", "double"})


class ColumnInputs:
    def __init__(self, specs: Sequence[ColumnSpec]) -> None:
        self._specs = specs
        self._layouts = Layouts(specs)
        self._names = [position if spec.name is None else spec.name for position, spec in enumerate(specs)]
        self._groups = _groups(specs)

    def payload(self, input_data: Any, findings: Findings) -> Payload | None:
        table = self._layouts.read(input_data, findings)
        if table is None:
            return None
        self._find_lacking(table, findings)
        columns: list[Column | None] = [None] * len(self._specs)
        for rule, places in self._groups:
            self._convert_together(rule, places, table, columns)
        for place, values in enumerate(table.columns):
            if columns[place] is None and values is not None:
                columns[place] = self._convert_column(place, values, findings)
        return FramePayload(tuple(column for column in columns if column is not None), table.rows)

    def _find_lacking(self, table: Table, findings: Findings) -> None:
        """What is there is looked at all the same: the caller hears of everything at once."""
        if None not in table.columns:
            return
        for place, spec in enumerate(self._specs):
            if table.columns[place] is None and spec.required:
                findings.add(str(self._names[place]), None, _a_column_of(spec.rule), "none")

    def _convert_together(self, rule: Rule, places: Sequence[int], table: Table, columns: list[Column | None]) -> None:
        """Fills in the group's columns, or leaves them to be looked at one by one."""
        values = [table.columns[place] for place in places]
        if None in values:
            return
        flat = list(chain.from_iterable(values))  # type: ignore[arg-type] # no None is left
        bulk = rule.many(flat, set(map(type, flat)))
        if not isinstance(bulk, np.ndarray):
            return
        for place, converted in zip(places, bulk.reshape(len(places), table.rows), strict=True):
            columns[place] = Column(self._names[place], rule.logical_type, converted)

    def _convert_column(self, place: int, values: Sequence[Any], findings: Findings) -> Column:
        spec, name = self._specs[place], self._names[place]
        converted, nulls = convert(spec.rule, values, str(name), findings, null_allowed=not spec.required)
        return Column(name, spec.rule.logical_type, converted, nulls)


def _a_column_of(rule: Rule) -> str:
    article = "an" if rule.logical_type[0] in "aeiou" else "a"
    return "a column of that name" if rule.logical_type == "json" else f"{article} {rule.logical_type} column"


def _groups(specs: Sequence[ColumnSpec]) -> list[tuple[Rule, tuple[int, ...]]]:
    """The places of each type of which there are several columns."""
    places: dict[str, list[int]] = {}
    for place, spec in enumerate(specs):
        if spec.rule.logical_type in _BULK_TYPES:
            places.setdefault(spec.rule.logical_type, []).append(place)
    return [(specs[group[0]].rule, tuple(group)) for group in places.values() if len(group) > 1]
