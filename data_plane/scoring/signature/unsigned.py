"""Input of models without a signature: the shape of the body decides the payload.

A dict with "columns" and "data" becomes a frame, any other dict named tensors, a list an array.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.payload.values import ArrayPayload, ArraysPayload, FramePayload, Index, JsonPayload, Payload
from data_plane.scoring.signature.inferred import infer_json, infer_text, infer_typed
from data_plane.scoring.signature.json_values import can_be_sent, check_labels
from data_plane.scoring.signature.row_labels import read_labels
from data_plane.scoring.signature.table import Table
from data_plane.scoring.signature.text_arrays import text_array
from data_plane.scoring.signature.violations import ViolationCollector, describe

_LIST, _STR = {list}, {str}
_NUMBERS = {bool, int, float}


class UnsignedInputs:
    def from_json(self, input_data: Any, collector: ViolationCollector) -> Payload | None:
        match input_data:
            case {"columns": list(names), "data": list(rows)}:
                index = read_labels(input_data.get("index"), len(rows), collector)
                if index is None or not check_labels(names, collector):
                    return None
                return _frame(names, rows, index, collector)
            case list():
                array = _array(input_data)
                return _json(input_data, collector) if array is None else ArrayPayload(array)
            case dict():
                return _named_tensors(input_data, collector)
            case None:
                collector.add(None, None, "data for the model", "null")
                return None
            case _:
                return _json(input_data, collector)

    def from_table(self, table: Table, collector: ViolationCollector) -> Payload | None:
        names = table.names or range(len(table.columns))
        infer = infer_text if table.is_text else infer_typed
        return FramePayload(tuple(map(infer, names, table.columns)), table.rows, table.row_index)

    def from_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], collector: ViolationCollector) -> Payload | None:
        if len(arrays) == 1:
            return ArrayPayload(next(iter(arrays.values())))
        return ArraysPayload(arrays)


def _frame(names: list[Any], rows: list[Any], index: Index, collector: ViolationCollector) -> Payload | None:
    fitting = [row for row in rows if isinstance(row, list) and len(row) == len(names)]
    if len(fitting) < len(rows):
        for position, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(names):
                collector.add(None, position, f"a list of {len(names)} values, one per column", describe(row))
        return None
    columns: Iterable[Sequence[Any]] = zip(*fitting, strict=True) if fitting else [()] * len(names)
    frame = FramePayload(tuple(map(infer_json, names, columns)), len(rows), index)
    loose = [list(column.values) for column in frame.columns if column.type == "json"]
    return frame if can_be_sent(loose, collector) else None


def _named_tensors(body: dict[str, Any], collector: ViolationCollector) -> Payload | None:
    """Convert a dict of lists to named tensors. If any value is not a tensor, the model receives the dict as JSON."""
    arrays = {name: _array(value) for name, value in body.items() if isinstance(value, list)}
    held = {name: array for name, array in arrays.items() if array is not None}
    if not body or len(held) < len(body):
        return _json(body, collector)
    return ArraysPayload(held) if check_labels(held, collector) else None


def _json(value: Any, collector: ViolationCollector) -> Payload | None:
    return JsonPayload(value) if can_be_sent(value, collector) else None


def _array(value: list[Any]) -> npt.NDArray[Any] | None:
    """Return numpy's array of the list. None: numpy would change values (1 beside "a" would become "1")."""
    shape: tuple[int, ...] = (len(value),)
    leaves, kinds = value, set(map(type, value))
    while kinds == _LIST:
        lengths = set(map(len, leaves))
        if len(lengths) > 1:
            return None
        shape = (*shape, *lengths)
        leaves = list(chain.from_iterable(leaves))
        kinds = set(map(type, leaves))
    return _array_of(leaves, shape, kinds)


def _array_of(leaves: list[Any], shape: tuple[int, ...], kinds: set[type]) -> npt.NDArray[Any] | None:
    if not kinds <= _NUMBERS and kinds != _STR:
        return None
    try:
        array = (text_array(leaves) if kinds == _STR else np.asarray(leaves)).reshape(shape)
    except (ValueError, OverflowError):
        return None
    return None if array.dtype.hasobject and kinds != _STR else array
