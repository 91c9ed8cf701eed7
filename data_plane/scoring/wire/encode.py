"""Encode payloads as SCORE frames.

Every request pays for the encoding, so a small frame has to take a few tens of microseconds only: numpy buffers are
sent without a copy, and each value is visited once.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.scoring.payload.values import (
    ArrayPayload,
    ArraysPayload,
    BlockPayload,
    Column,
    FramePayload,
    IndexLevel,
    JsonPayload,
    Payload,
)
from data_plane.scoring.types import WIRE_DTYPES
from data_plane.worker.frames import BYTES_TAG, DATETIME_TAG, SCORE, TIMESTAMP_TAG, Body, Buffer, pack


def encode_score(
    payload: Payload,
    *,
    request_id: int,
    params: Mapping[str, Any] | None = None,
    request_ids: Sequence[str] = (),
    deadline: float | None = None,
    arrays_differ: bool = False,
) -> list[Buffer]:
    """Return a SCORE frame as buffers, to be written in order.

    `deadline`: seconds since 1970. `arrays_differ`: the model must get a DataFrame, and no array in its place.
    """
    body = Body()
    described = _describe(payload, body)
    meta = {
        "payload": described,
        **_describe_params(params),
        "rows": row_count(payload),
        "request_ids": list(request_ids),
        "deadline": deadline,
    }
    if arrays_differ:
        meta["arrays_differ"] = True
    return pack(SCORE, request_id, orjson.dumps(meta), body)


def _describe_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    if not params:
        return {"params": params}
    tags = _Tags()
    text = orjson.dumps(params, default=tags, option=orjson.OPT_PASSTHROUGH_DATETIME)
    if b"null" in text:
        text = json.dumps(params, default=tags).encode()
    return {"params": orjson.Fragment(text), **({"tagged_params": True} if tags.are_used else {})}


def row_count(payload: Payload) -> int:
    match payload:
        case BlockPayload() | FramePayload():
            return payload.rows
        case ArrayPayload(array=array):
            return _first_dimension(array)
        case ArraysPayload(arrays=arrays):
            return max(map(_first_dimension, arrays.values()), default=0)
        case JsonPayload(value=value):
            return len(value) if isinstance(value, list) else 1


def _first_dimension(array: npt.NDArray[Any]) -> int:
    return array.shape[0] if array.ndim else 1


def _describe(payload: Payload, body: Body) -> dict[str, Any]:
    match payload:
        case FramePayload(columns=columns, rows=rows, row_index=index):
            described = {"kind": "frame", "rows": rows, "columns": [_describe_column(c, body) for c in columns]}
            return {**described, "index": _describe_index(index, body)} if index else described
        case BlockPayload(names=names, type=logical_type, block=block, row_index=index):
            data = body.add(_bytes_of(block, WIRE_DTYPES[logical_type]))
            described = {"kind": "block", "rows": block.shape[1], "names": names, "type": logical_type, "data": data}
            return {**described, "index": _describe_index(index, body)} if index else described
        case ArrayPayload(array=array):
            return {"kind": "array", **_describe_array(array, body)}
        case ArraysPayload(arrays=arrays):
            named = [{"name": name, **_describe_array(array, body)} for name, array in arrays.items()]
            return {"kind": "arrays", "arrays": named}
        case JsonPayload(value=value):
            return _describe_json(value, body)


def _describe_index(index: Sequence[IndexLevel], body: Body) -> list[dict[str, Any]]:
    return [
        {**_describe_column(column, body), "name": name, "zone": zone, "unit": unit}
        for column, name, zone, unit in index
    ]


def _describe_json(value: Any, body: Body) -> dict[str, Any]:
    tags = _Tags()
    data = body.add(_json_text(value, tags))
    return {"kind": "json", "data": data, **({"tagged": True} if tags.are_used else {})}


def _json_text(value: Any, tag: Callable[[Any], Any] | None = None) -> bytes:
    try:
        text = orjson.dumps(value, default=tag, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # orjson supports neither integers beyond 64 bits nor deep nesting.
        return json.dumps(value, default=tag).encode()
    # orjson writes NaN and the infinities as null.
    return json.dumps(value, default=tag).encode() if b"null" in text else text


class _Tags:
    """Encode bytes and timestamps in nested values and params, absent from JSON, as objects with one reserved key."""

    def __init__(self) -> None:
        self.are_used = False

    def __call__(self, value: Any) -> dict[str, Any]:
        self.are_used = True
        if isinstance(value, bytes):
            return {BYTES_TAG: b64encode(value).decode()}
        if isinstance(value, np.datetime64):
            return {TIMESTAMP_TAG: int(value.astype("datetime64[ns]").astype("int64"))}
        if isinstance(value, date):
            return {DATETIME_TAG: value.isoformat()}
        raise TypeError(f"a {type(value).__name__} cannot be sent to a worker")


def _describe_array(array: npt.NDArray[Any], body: Body) -> dict[str, Any]:
    if array.dtype.hasobject:
        return {"dtype": "object", "shape": array.shape, "data": body.add(_json_text(array.reshape(-1).tolist()))}
    little_endian = array.dtype.newbyteorder("<")
    return {"dtype": little_endian.str, "shape": array.shape, "data": body.add(_bytes_of(array, little_endian))}


def _describe_column(column: Column, body: Body) -> dict[str, Any]:
    wire = WIRE_DTYPES.get(column.type)
    if wire is not None:
        described = {"name": column.name, "type": column.type, "data": body.add(_fixed_width(column, wire))}
        nulls = column.nulls
    else:
        tags = _Tags()
        texts, nulls = _texts(column, tags)
        offsets = np.zeros(len(texts) + 1, dtype="<i8")
        np.cumsum(list(map(len, texts)), out=offsets[1:])
        described = {
            "name": column.name,
            "type": column.type,
            "data": body.add(b"".join(texts)),
            "offsets": body.add(_bytes_of(offsets, offsets.dtype)),
        }
        if tags.are_used:
            described["tagged"] = True
    if nulls is not None and nulls.any():
        described["nulls"] = body.add(_bytes_of(nulls, np.dtype("u1")))
    return described


def _fixed_width(column: Column, wire: np.dtype[Any]) -> Buffer:
    values = column.values
    if column.type == "datetime":
        values = np.asarray(values, dtype="datetime64[ns]").view("i8")
    return _bytes_of(values, wire)


def _bytes_of(values: npt.NDArray[Any] | Sequence[Any], dtype: np.dtype[Any]) -> Buffer:
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.size == 0:
        return b""
    return array.reshape(-1).view("u1").data


def _texts(column: Column, tags: _Tags) -> tuple[list[bytes], npt.NDArray[np.bool_] | None]:
    """Return the bytes of each entry, and the null bitmap."""
    if column.type == "json":
        return [_json_text(value, tags) for value in column.values], column.nulls
    nulls = column.nulls
    if nulls is None:
        nulls = np.fromiter((value is None for value in column.values), dtype=bool, count=len(column.values))
    if column.type == "string":
        return [b"" if value is None else value.encode() for value in column.values], nulls
    return [b"" if value is None else value for value in column.values], nulls
