"""The columns that a job's output has, from those of its sections."""

from collections.abc import Iterable

from data_plane.batch.writing.answers import PREDICTION
from data_plane.batch.writing.blocks import FILE, ROW
from data_plane.batch.writing.sections import ColumnId, Section
from data_plane.batch.writing.texts import utf8


def column_kinds(sections: Iterable[Section]) -> dict[ColumnId, set[str]]:
    """In the order in which they first appear, with what their values are anywhere."""
    kinds: dict[ColumnId, set[str]] = {}
    for section in sections:
        for column in section.columns:
            kinds.setdefault(column.id, set()).update(column.kinds)
    return kinds or {(PREDICTION, 0): set()}


def headings(ids: Iterable[ColumnId]) -> list[str]:
    """No two alike, so that a reader finds each: a prediction called `row` becomes `row_1`."""
    names = [ROW]
    for name, _ in ids:
        names.append(_free(utf8(name).decode(), {*names, FILE}))
    return [*names, FILE]


def _free(name: str, taken: set[str]) -> str:
    free, number = name, 0
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free
