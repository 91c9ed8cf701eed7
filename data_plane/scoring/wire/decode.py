"""Decode RESULT frames. Arrays and text columns are views of the frame's body."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.scoring.payload.text_column import TextColumn
from data_plane.scoring.payload.values import ArrayResult, Column, FrameResult, JsonResult, Result
from data_plane.scoring.types import DTYPES
from data_plane.worker.frames import Buffer, ProtocolError

_OFFSETS = np.dtype("<i8")


def decode_result(meta: bytes | Mapping[str, Any], body: Buffer) -> Result:
    """Decode the result in a RESULT frame. Raises ProtocolError."""
    document = orjson.loads(meta) if isinstance(meta, bytes) else meta
    view = memoryview(body)
    try:
        return _read_result(document["result"], view)
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"the model worker's result cannot be read: {error!r}") from error


def _read_result(result: Mapping[str, Any], body: memoryview) -> Result:
    match result["kind"]:
        case "array":
            return ArrayResult(_read_array(result["data"], np.dtype(result["dtype"]), body).reshape(result["shape"]))
        case "frame":
            columns = tuple(_read_column(column, result["rows"], body) for column in result["columns"])
            return FrameResult(columns, result["rows"])
        case "json":
            return JsonResult(bytes(_part(result["data"], body)))
        case kind:
            raise ValueError(f"unknown kind {kind!r}")


def _part(place: Sequence[int], body: memoryview) -> memoryview:
    offset, length = place
    if offset < 0 or length < 0 or offset + length > len(body):
        raise ValueError(f"a buffer of {length} bytes at offset {offset} exceeds a body of {len(body)} bytes")
    return body[offset : offset + length]


def _read_array(place: Sequence[int], dtype: np.dtype[Any], body: memoryview) -> npt.NDArray[Any]:
    return np.frombuffer(_part(place, body), dtype=dtype)


def _read_column(described: Mapping[str, Any], rows: int, body: memoryview) -> Column:
    name, logical_type = described["name"], described["type"]
    nulls_place = described.get("nulls")
    nulls = None if nulls_place is None else _read_array(nulls_place, np.dtype(bool), body)
    dtype = DTYPES.get(logical_type)
    values: npt.NDArray[Any] | Sequence[Any]
    if dtype is not None:
        values = _read_array(described["data"], dtype, body)
    elif logical_type == "string":
        values = TextColumn(_part(described["data"], body), _read_array(described["offsets"], _OFFSETS, body))
    else:
        values = _read_texts(described, logical_type, body)
    if len(values) != rows:
        raise ValueError(f"column {name!r} has {len(values)} rows, not {rows}")
    return Column(name, logical_type, values, nulls)


def _read_texts(described: Mapping[str, Any], logical_type: str, body: memoryview) -> list[Any]:
    data = bytes(_part(described["data"], body))
    offsets = _read_array(described["offsets"], _OFFSETS, body).tolist()
    parts = [data[start:end] for start, end in itertools.pairwise(offsets)]
    if logical_type == "json":
        return [orjson.loads(part) if part else None for part in parts]
    return parts
