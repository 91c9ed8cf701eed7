"""Concatenate the payloads of several requests, if the model sees the same dtypes as for each payload alone.

pandas derives some dtypes from all values of a column: whole numbers with a missing value, text with a missing value,
JSON values. Payloads with such a column are scored alone. The same holds for a frame's row labels; a frame with labels
shares no call with a frame that has the default labels.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.payload.values import (
    ArrayPayload,
    ArraysPayload,
    BlockPayload,
    Column,
    FramePayload,
    Index,
    Payload,
)
from data_plane.scoring.types import DTYPES, WIRE_DTYPES, WITH_MISSING_VALUE

Shape = tuple[Hashable, ...]


def shape_of(payload: Payload) -> Shape | None:
    """Return the names, types and dimensions of a payload. Payloads of equal shape concatenate. None: score alone."""
    match payload:
        case BlockPayload(names=names, type=logical_type, row_index=index):
            return _with_index((names, logical_type), index) if payload.rows else None
        case FramePayload(columns=columns, rows=rows, row_index=index):
            return _with_index(_shape_of_columns(columns), index) if rows else None
        case ArrayPayload(array=array):
            return (array.dtype, array.shape[1:]) if _has_rows(array) else None
        case ArraysPayload(arrays=arrays):
            return _shape_of_arrays(arrays)
        case _:
            return None


def _with_index(shape: Shape | None, index: Index) -> Shape | None:
    if not index or shape is None:
        return shape
    labels = _shape_of_columns([level.column for level in index])
    return None if labels is None else (shape, labels, tuple(level[1:] for level in index))


def _shape_of_columns(columns: Sequence[Column]) -> Shape | None:
    if all(map(_keeps_dtype, columns)):
        return tuple((column.name, column.type) for column in columns)
    return None


def _keeps_dtype(column: Column) -> bool:
    if column.type in WITH_MISSING_VALUE:
        return True
    if column.type == "json" or (column.nulls is not None and column.nulls.any()):
        return False
    return column.type in WIRE_DTYPES or all(value is not None for value in column.values)


def _shape_of_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> Shape | None:
    if not arrays or not all(map(_has_rows, arrays.values())) or len({len(array) for array in arrays.values()}) > 1:
        return None
    return tuple((name, array.dtype, array.shape[1:]) for name, array in arrays.items())


def _has_rows(array: npt.NDArray[Any]) -> bool:
    return array.ndim > 0 and len(array) > 0


def size_of(payload: Payload) -> int:
    """Estimate the payload's bytes on the wire."""
    match payload:
        case BlockPayload(block=block, row_index=index):
            # Nearly every request of a batch passes here, and has no labels.
            return block.nbytes + sum([_size_of_column(level.column) for level in index] if index else ())
        case FramePayload(columns=columns, row_index=index):
            return sum(map(_size_of_column, (*columns, *(level.column for level in index))))
        case ArrayPayload(array=array):
            return array.nbytes
        case ArraysPayload(arrays=arrays):
            return sum(array.nbytes for array in arrays.values())
        case _:
            return 0


def _size_of_column(column: Column) -> int:
    wire = WIRE_DTYPES.get(column.type)
    return len(column.values) * wire.itemsize if wire is not None else sum(map(len, column.values))


def concatenate(payloads: Sequence[Payload]) -> Payload:
    """Concatenate the rows of payloads of equal shape, in order."""
    match payloads[0]:
        case BlockPayload() as first:
            blocks = [payload.block for payload in payloads if isinstance(payload, BlockPayload)]
            return first._replace(block=np.concatenate(blocks, axis=1), row_index=_concatenate_indexes(payloads))
        case FramePayload():
            return _concatenate_frames([payload for payload in payloads if isinstance(payload, FramePayload)])
        case ArrayPayload():
            return ArrayPayload(np.concatenate([each.array for each in payloads if isinstance(each, ArrayPayload)]))
        case ArraysPayload(arrays=first):
            parts = [payload.arrays for payload in payloads if isinstance(payload, ArraysPayload)]
            return ArraysPayload({name: np.concatenate([part[name] for part in parts]) for name in first})
        case payload:
            raise TypeError(f"a {type(payload).__name__} cannot be concatenated: score the payload alone")


def _concatenate_frames(frames: Sequence[FramePayload]) -> FramePayload:
    columns = tuple(map(_concatenate_columns, zip(*(frame.columns for frame in frames), strict=True)))
    return FramePayload(columns, sum(frame.rows for frame in frames), _concatenate_indexes(frames))


def _concatenate_indexes(frames: Sequence[Payload]) -> Index:
    indexes = [frame.row_index for frame in frames if isinstance(frame, BlockPayload | FramePayload)]
    return tuple(
        parts[0]._replace(column=_concatenate_columns(tuple(part.column for part in parts)))
        for parts in zip(*indexes, strict=True)
    )


def _concatenate_columns(parts: tuple[Column, ...]) -> Column:
    name, logical_type = parts[0].name, parts[0].type
    dtype = DTYPES.get(logical_type)
    if dtype is None:
        return Column(name, logical_type, [value for part in parts for value in part.values])
    values = np.concatenate([part.values for part in parts], dtype=dtype, casting="unsafe")
    return Column(name, logical_type, values, _concatenate_nulls(parts))


def _concatenate_nulls(parts: tuple[Column, ...]) -> npt.NDArray[np.bool_] | None:
    if all(part.nulls is None for part in parts):
        return None
    return np.concatenate([np.zeros(len(part.values), bool) if part.nulls is None else part.nulls for part in parts])
