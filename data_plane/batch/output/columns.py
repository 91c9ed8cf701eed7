"""The columns of a job's output: the row number, the predictions, and the name of the input file."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from data_plane.batch.output.column_text import utf8
from data_plane.batch.output.predictions import PREDICTION
from data_plane.batch.output.sections import ColumnId, Section

ROW, FILE = "row", "file"


def row_numbers(first_row: int, rows: int) -> pa.Array:
    return pa.array(np.arange(first_row, first_row + rows, dtype=np.int64))


def collect_columns(sections: Iterable[Section]) -> dict[ColumnId, set[str]]:
    """Return the columns in order of their first appearance, each with the types of its values in all sections."""
    types: dict[ColumnId, set[str]] = {}
    for section in sections:
        for column in section.columns:
            types.setdefault(column.id, set()).update(column.types)
    return types or {(PREDICTION, 0): set()}


def headings(ids: Iterable[ColumnId]) -> list[str]:
    """Return unique headings: a prediction called `row` becomes `row_1`."""
    names = [ROW]
    for name, _ in ids:
        names.append(_unique(utf8(name).decode(), {*names, FILE}))
    return [*names, FILE]


def _unique(name: str, taken: set[str]) -> str:
    unique, number = name, 0
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique
