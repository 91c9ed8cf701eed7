"""Read tables in JSON for a signature of tensors: MLflow's clients send frames for tensors too."""

from typing import Any

from data_plane.scoring.signature.table import Table, TypedColumn

_SPLIT_KEYS = frozenset({"columns", "index", "data"})
_LIST = {list}
_DICT = {dict}


def as_frame(body: Any) -> Table | None:
    """Read split orientation or a list of records. None: another layout, ragged rows, or no columns."""
    if isinstance(body, dict) and "data" in body and body.keys() <= _SPLIT_KEYS:
        return _of_split(body["data"], body.get("columns"))
    if isinstance(body, list) and set(map(type, body)) == _DICT:
        return _of_records(body)
    return None


def _of_split(rows: Any, names: Any) -> Table | None:
    if not isinstance(rows, list) or set(map(type, rows)) != _LIST or len(set(map(len, rows))) != 1 or not rows[0]:
        return None
    if names is not None and not _are_names(names, len(rows[0])):
        return None
    columns = tuple(TypedColumn(list(column)) for column in zip(*rows, strict=True))
    return Table(None if names is None else tuple(map(str, names)), columns, len(rows))


def _are_names(names: Any, width: int) -> bool:
    return isinstance(names, list) and len(names) == width and set(map(type, names)) <= {str, int}


def _of_records(records: list[dict[str, Any]]) -> Table | None:
    names = tuple(records[0])
    if not names or any(record.keys() != records[0].keys() for record in records):
        return None
    return Table(names, tuple(TypedColumn([record[name] for record in records]) for name in names), len(records))
