"""Decode RESULT frames. Arrays and text columns are views of the frame's body.

User code shares the worker's process and can forge a frame. So the work that a frame causes is proportional to its
bytes: every byte of the body belongs to one buffer at most, and results without data (arrays of size zero, frames
without columns) have a bounded number of entries.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.scoring.payload.text_column import TextColumn
from data_plane.scoring.payload.values import ArrayResult, Column, FrameResult, JsonResult, Result
from data_plane.scoring.types import DTYPES
from data_plane.worker.frames import Buffer, ProtocolError

MAX_EMPTY_ENTRIES: Final = 1 << 16
"""Entries of a result without data, for a request with fewer rows."""
MAX_JSON_VALUES: Final = 8 << 20
_MAX_DIMENSIONS = 32
_MAX_COLUMNS = 1 << 16
_MAX_NAME_CHARACTERS = 4096

_BOOLEAN = np.dtype(bool)
_OFFSETS = np.dtype("<i8")
_ARRAY_DTYPES: Final = {
    name: np.dtype(name)
    for name in ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
}
_COLUMN_DTYPES: Final = {name: DTYPES[name] for name in ("boolean", "integer", "long", "float", "double")}


def decode_result(meta: bytes | Mapping[str, Any], body: Buffer, *, rows: int = 0) -> Result:
    """Decode the result in a RESULT frame for a request of `rows` rows. Raises ProtocolError."""
    try:
        document = orjson.loads(meta) if isinstance(meta, bytes) else meta
        return _read_result(document["result"], _Buffers(body), max(rows, MAX_EMPTY_ENTRIES))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ProtocolError(f"the model worker's result cannot be read: {str(error)[:500] or error!r}") from error


class _Buffers:
    """The buffers of a frame's body. Together they are not larger than the body."""

    def __init__(self, body: Buffer) -> None:
        self._body = memoryview(body)
        self._left = len(self._body)

    def take(self, place: Sequence[int]) -> memoryview:
        offset, length = place
        if type(offset) is not int or type(length) is not int:
            raise ValueError("a buffer's offset and length must be whole numbers")
        if offset < 0 or length < 0 or offset + length > len(self._body):
            raise ValueError(f"a buffer of {length} bytes at offset {offset} exceeds a body of {len(self._body)} bytes")
        self._left -= length
        if self._left < 0:
            raise ValueError("the buffers of a frame overlap")
        return self._body[offset : offset + length]

    def array(self, place: Sequence[int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        if dtype == _BOOLEAN:
            # A byte other than 0 and 1 is no valid boolean, and numpy's users do not check.
            return np.frombuffer(self.take(place), dtype=np.uint8).astype(bool)
        return np.frombuffer(self.take(place), dtype=dtype)


def _read_result(result: Mapping[str, Any], buffers: _Buffers, max_empty: int) -> Result:
    match result["kind"]:
        case "array":
            return ArrayResult(_read_array(result, buffers, max_empty))
        case "frame":
            return _read_frame(result, buffers, max_empty)
        case "json":
            return JsonResult(_read_json(bytes(buffers.take(result["data"]))))
        case kind:
            raise ValueError(f"unknown kind {str(kind)[:64]!r}")


def _read_json(text: bytes) -> bytes:
    # A parsed list takes up to 30 times the memory of its text.
    if len(text) > MAX_JSON_VALUES and sum(map(text.count, (b",", b"[", b"{"))) > MAX_JSON_VALUES:
        raise ValueError(f"a JSON result holds more than {MAX_JSON_VALUES} values")
    return text


def _read_array(result: Mapping[str, Any], buffers: _Buffers, max_empty: int) -> npt.NDArray[Any]:
    shape = result["shape"]
    if not isinstance(shape, list) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError(f"a shape must be a list of at most {_MAX_DIMENSIONS} dimensions")
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError("the dimensions of an array must be whole numbers from 0")
    dtype = _ARRAY_DTYPES.get(result["dtype"])
    if dtype is None:
        raise ValueError(f"an array of a result has numbers or booleans, not the dtype {str(result['dtype'])[:64]!r}")
    array = buffers.array(result["data"], dtype).reshape(shape)
    if not array.size and math.prod(shape[: shape.index(0)]) > max_empty:
        raise ValueError(f"an array without data has more than {max_empty} entries")
    return array


def _read_frame(result: Mapping[str, Any], buffers: _Buffers, max_empty: int) -> FrameResult:
    rows, described = result["rows"], result["columns"]
    if type(rows) is not int or rows < 0:
        raise ValueError("the rows of a frame must be a whole number from 0")
    if len(described) > _MAX_COLUMNS:
        raise ValueError(f"a frame of a result has at most {_MAX_COLUMNS} columns, not {len(described)}")
    if not described and rows > max_empty:
        raise ValueError(f"a frame without columns has {rows} rows, more than {max_empty}")
    return FrameResult(tuple([_read_column(column, rows, buffers) for column in described]), rows)


def _read_column(described: Mapping[str, Any], rows: int, buffers: _Buffers) -> Column:
    name, logical_type = described["name"], described["type"]
    if not isinstance(name, str) or len(name) > _MAX_NAME_CHARACTERS:
        raise ValueError(f"the name of a column must be a text of at most {_MAX_NAME_CHARACTERS} characters")
    dtype = _COLUMN_DTYPES.get(logical_type)
    values: npt.NDArray[Any] | TextColumn
    if dtype is not None:
        values = buffers.array(described["data"], dtype)
    elif logical_type == "string":
        values = TextColumn(buffers.take(described["data"]), buffers.array(described["offsets"], _OFFSETS))
    else:
        raise ValueError(f"a column of a result has numbers, booleans or texts, not {str(logical_type)[:64]!r}")
    place = described.get("nulls")
    nulls = None if place is None else buffers.array(place, _BOOLEAN)
    if len(values) != rows or (nulls is not None and len(nulls) != rows):
        raise ValueError(f"column {name[:64]!r} has {len(values)} rows, not {rows}")
    return Column(name, logical_type, values, nulls)
