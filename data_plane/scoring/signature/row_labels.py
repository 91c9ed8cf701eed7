"""Row labels in split orientation (`index`), with the types that pandas gives to the labels."""

from typing import Any

from data_plane.scoring.payload.values import Index, IndexLevel
from data_plane.scoring.signature.inferred import infer_json
from data_plane.scoring.signature.json_values import can_be_sent
from data_plane.scoring.signature.violations import ViolationCollector, describe

_INT, _LIST = {int}, {list}


def are_default(labels: Any, rows: int) -> bool:
    """Return whether the labels are absent, or those of a frame without labels: 0, 1, 2, ..."""
    if labels is None:
        return True
    # `True` and `1.0` equal 1.
    return type(labels) is list and labels == list(range(rows)) and set(map(type, labels)) <= _INT


def read_labels(labels: Any, rows: int, collector: ViolationCollector) -> Index | None:
    """Read one label per row. As in pandas, a list of lists has a list for each level of the index.

    Return None after adding a violation to `collector`.
    """
    if are_default(labels, rows):
        return ()
    if not isinstance(labels, list):
        collector.add(None, None, "a list of labels under 'index', one per row", describe(labels))
        return None
    levels = labels if labels and set(map(type, labels)) == _LIST else [labels]
    for level in levels:
        if len(level) != rows:
            per_level = " in the list of each level" if levels is labels else ""
            expected = f"an index of {rows} labels{per_level}, one per row"
            collector.add(None, None, expected, f"{len(level)} label{'' if len(level) == 1 else 's'}")
            return None
    index = tuple(IndexLevel(infer_json(place, level)) for place, level in enumerate(levels))
    loose = [list(level.column.values) for level in index if level.column.type == "json"]
    return index if can_be_sent(loose, collector) else None
