"""Read JSON frames for models without column signatures: the layout alone decides names and types."""

from typing import Any

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.payload.values import Index
from data_plane.scoring.signature.row_labels import read_labels
from data_plane.scoring.signature.table import Table, TypedColumn
from data_plane.scoring.signature.violations import ViolationCollector


def split_table(split: dict[str, Any]) -> Table:
    """Read `{"columns": …, "index": …, "data": …}`. Without "columns", columns are numbered as by pandas.

    Raises InvalidBody and SignatureViolations.
    """
    rows, names = split["data"], split.get("columns")
    if names is None:
        names = [str(position) for position in range(_width(rows))]
    if not isinstance(names, list):
        raise InvalidBody("'columns' of 'dataframe_split' must be a list of names")
    for position, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            raise InvalidBody(f"'data' of 'dataframe_split', row {position}: expected a list of {len(names)} values")
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return _table(names, list(map(list, columns)), len(rows), _index(split.get("index"), len(rows)))


def records_table(records: list[Any]) -> Table:
    """Read a list of records. A record without a key of another record has a missing value there."""
    for position, record in enumerate(records):
        if not isinstance(record, dict):
            raise InvalidBody(f"'dataframe_records', row {position}: expected an object")
    names = list(dict.fromkeys(name for record in records for name in record))
    return _table(names, [[record.get(name) for record in records] for name in names], len(records))


def _index(labels: Any, rows: int) -> Index:
    collector = ViolationCollector()
    index = read_labels(labels, rows, collector)
    collector.raise_if_any()
    return index or ()


def _table(names: list[Any], columns: list[list[Any]], rows: int, index: Index = ()) -> Table:
    return Table(tuple(map(str, names)), tuple(map(TypedColumn, columns)), rows, row_index=index)


def _width(rows: list[Any]) -> int:
    return len(rows[0]) if rows and isinstance(rows[0], list) else 0
