"""A frame as `DataFrame.to_parquet` writes frames: columns, and the index apart from the columns."""

import re
from collections.abc import Iterable, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.payload.values import Column, IndexLevel
from data_plane.scoring.signature.inferred import infer_typed
from data_plane.scoring.signature.table import Table
from data_plane.scoring.signature.violations import encodable
from data_plane.scoring.tables.arrow_columns import typed_column
from data_plane.scoring.tables.pandas_index import IndexField

_OFFSET = re.compile(r"[+-]\d\d:\d\d", re.ASCII)
_EXTENSION = b"ARROW:extension:name"


def frame_table(
    read: pyarrow.Table, fields: Sequence[IndexField], declared: Iterable[str], first_row: int = 0
) -> Table:
    """Build a table. A level of the index with the name of a declared column is that column, after the other columns.

    `first_row` is the number of the file's rows before the table. Raises InvalidBody for an Arrow type without a
    counterpart among the declared types.
    """
    stored = {field.column for field in fields}
    columns = list(zip(read.column_names, read.columns, strict=True))
    kept = [(name, column) for name, column in columns if name not in stored]
    kept += [(name, column) for name, column in columns if name in stored and name in declared]
    levels = [field for field in fields if field.column is None or field.column in read.column_names]
    levels = [field for field in levels if field.column is None or field.column not in declared]
    return Table(
        tuple(name for name, _ in kept),
        tuple(typed_column(*named) for named in kept),
        len(read),
        row_index=tuple(_level(place, field, read, first_row) for place, field in enumerate(levels)),
    )


def _level(place: int, field: IndexField, read: pyarrow.Table, first_row: int) -> IndexLevel:
    name = None if field.name is None else encodable(field.name)
    if field.column is None:
        labels = field.start + field.step * np.arange(first_row, first_row + len(read), dtype=np.int64)
        return IndexLevel(Column(place, "long", labels), name)
    kind = read.schema.field(field.column)
    if _EXTENSION in (kind.metadata or {}) or isinstance(kind.type, pyarrow.ExtensionType):
        raise InvalidBody(
            f"the index {field.column!r} of the Parquet file has a type of pandas' own (such as Period or Interval), "
            "which no model input type matches: reset the index before you write the file"
        )
    column = read.column(field.column)
    stored = infer_typed(field.column, typed_column(field.column, column))._replace(name=place)
    return IndexLevel(stored, name, _zone(column.type), _unit(column.type))


def _unit(kind: Any) -> str | None:
    return kind.unit if pyarrow.types.is_timestamp(kind) and kind.unit != "ns" else None


def _zone(kind: Any) -> str | None:
    zone: str | None = getattr(kind, "tz", None)
    if zone is None or zone == "UTC" or _OFFSET.fullmatch(zone):
        return zone
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise InvalidBody(
            f"the index of the Parquet file has the unknown time zone {zone[:64]!r}: convert the index to UTC"
        ) from None
    return zone
