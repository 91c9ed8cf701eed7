"""What the platform sends a guest worker to score, and what it gets back, as frames.

The gateway encodes on every request, so this stays a few tens of microseconds for a small frame: numpy buffers go out
as they are, and nothing is looked at twice.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.worker.frames import SCORE, Body, Buffer, Frame, ProtocolError, pack

LogicalType = Literal[
    "boolean", "integer", "long", "float", "double", "datetime", "string", "binary", "json"
]  # fmt: skip

_WIRE_DTYPES: Mapping[str, np.dtype[Any]] = {
    "boolean": np.dtype("u1"),
    "integer": np.dtype("<i4"),
    "long": np.dtype("<i8"),
    "float": np.dtype("<f4"),
    "double": np.dtype("<f8"),
    "datetime": np.dtype("<i8"),
}
_NUMPY_DTYPES: Mapping[str, np.dtype[Any]] = {
    **_WIRE_DTYPES,
    "boolean": np.dtype(bool),
    "datetime": np.dtype("datetime64[ns]"),
}


@dataclass(frozen=True, slots=True)
class Column:
    name: str | int
    type: LogicalType
    values: npt.NDArray[Any] | Sequence[Any]
    """An array or list with one entry per row. Entries of a `json` column are JSON values, not text."""
    nulls: npt.NDArray[np.bool_] | None = None
    """True where a value is missing. In `string` and `binary` columns a None says so by itself."""


@dataclass(frozen=True, slots=True)
class FramePayload:
    columns: tuple[Column, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class ArrayPayload:
    array: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ArraysPayload:
    """Named tensors."""

    arrays: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class JsonPayload:
    value: Any


Payload = FramePayload | ArrayPayload | ArraysPayload | JsonPayload


@dataclass(frozen=True, slots=True)
class ArrayResult:
    array: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class FrameResult:
    columns: tuple[Column, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class JsonResult:
    text: bytes
    """Valid JSON already: the guest sees to that."""


Result = ArrayResult | FrameResult | JsonResult


def encode_score(
    payload: Payload,
    *,
    request_id: int,
    params: Mapping[str, Any] | None = None,
    request_ids: Sequence[str] = (),
    deadline: float | None = None,
) -> list[Buffer]:
    """A SCORE frame, as buffers to be written one after the other. `deadline` is in seconds since 1970."""
    body = Body()
    described = _describe(payload, body)
    meta = {
        "payload": described,
        "params": params,
        "rows": row_count(payload),
        "request_ids": list(request_ids),
        "deadline": deadline,
    }
    return pack(SCORE, request_id, orjson.dumps(meta), body)


def row_count(payload: Payload) -> int:
    match payload:
        case FramePayload(rows=rows):
            return rows
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
        case FramePayload(columns=columns, rows=rows):
            return {"kind": "frame", "rows": rows, "columns": [_describe_column(c, body) for c in columns]}
        case ArrayPayload(array=array):
            if _needs_json(array):
                return _describe_json(array.tolist(), body)
            return {"kind": "array", **_describe_array(array, body)}
        case ArraysPayload(arrays=arrays):
            if any(map(_needs_json, arrays.values())):
                return _describe_json({name: array.tolist() for name, array in arrays.items()}, body)
            described = [{"name": name, **_describe_array(array, body)} for name, array in arrays.items()]
            return {"kind": "arrays", "arrays": described}
        case JsonPayload(value=value):
            return _describe_json(value, body)


def _needs_json(array: npt.NDArray[Any]) -> bool:
    """Object arrays hold Python values, which have no buffer."""
    return array.dtype.hasobject


def _describe_json(value: Any, body: Body) -> dict[str, Any]:
    return {"kind": "json", "data": body.add(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))}


def _describe_array(array: npt.NDArray[Any], body: Body) -> dict[str, Any]:
    little_endian = array.dtype.newbyteorder("<")
    return {"dtype": little_endian.str, "shape": array.shape, "data": body.add(_bytes_of(array, little_endian))}


def _describe_column(column: Column, body: Body) -> dict[str, Any]:
    wire = _WIRE_DTYPES.get(column.type)
    if wire is not None:
        described = {"name": column.name, "type": column.type, "data": body.add(_fixed_width(column, wire))}
        nulls = column.nulls
    else:
        texts, nulls = _texts(column)
        offsets = np.zeros(len(texts) + 1, dtype="<i8")
        np.cumsum(list(map(len, texts)), out=offsets[1:])
        described = {
            "name": column.name,
            "type": column.type,
            "data": body.add(b"".join(texts)),
            "offsets": body.add(_bytes_of(offsets, offsets.dtype)),
        }
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
    return memoryview(array.reshape(-1).view("u1"))


def _texts(column: Column) -> tuple[list[bytes], npt.NDArray[np.bool_] | None]:
    """The bytes of each entry, and which entries are missing."""
    if column.type == "json":
        return [orjson.dumps(value) for value in column.values], column.nulls
    nulls = column.nulls
    if nulls is None:
        nulls = np.fromiter((value is None for value in column.values), dtype=bool, count=len(column.values))
    if column.type == "string":
        return [b"" if value is None else value.encode() for value in column.values], nulls
    return [b"" if value is None else value for value in column.values], nulls


def decode_result(meta: bytes | Mapping[str, Any], body: Buffer) -> Result:
    """What a RESULT frame says. Arrays are views of `body`."""
    document = orjson.loads(meta) if isinstance(meta, bytes) else meta
    view = memoryview(body)
    try:
        return _read_result(document["result"], view)
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"the guest worker's result cannot be read: {error!r}") from error


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
        raise ValueError(f"a buffer at {offset} of {length} bytes does not lie in a body of {len(body)}")
    return body[offset : offset + length]


def _read_array(place: Sequence[int], dtype: np.dtype[Any], body: memoryview) -> npt.NDArray[Any]:
    return np.frombuffer(_part(place, body), dtype=dtype)


def _read_column(described: Mapping[str, Any], rows: int, body: memoryview) -> Column:
    name, logical_type = described["name"], described["type"]
    nulls_place = described.get("nulls")
    nulls = None if nulls_place is None else _read_array(nulls_place, np.dtype(bool), body)
    dtype = _NUMPY_DTYPES.get(logical_type)
    values: npt.NDArray[Any] | list[Any]
    if dtype is not None:
        values = _read_array(described["data"], dtype, body)
    else:
        values = _read_texts(described, logical_type, body)
    if len(values) != rows:
        raise ValueError(f"column {name!r} has {len(values)} rows, not {rows}")
    return Column(name, logical_type, values, nulls)


def _read_texts(described: Mapping[str, Any], logical_type: str, body: memoryview) -> list[Any]:
    data = bytes(_part(described["data"], body))
    offsets = _read_array(described["offsets"], np.dtype("<i8"), body).tolist()
    parts = [data[start:end] for start, end in zip(offsets, offsets[1:], strict=False)]
    if logical_type == "string":
        return [part.decode() for part in parts]
    if logical_type == "json":
        return [orjson.loads(part) if part else None for part in parts]
    return parts


def result_to_json(result: Result) -> bytes:
    """The answer's JSON as Azure gives it: bare nested lists, or a list of records. NaN and infinities are null."""
    match result:
        case JsonResult(text=text):
            return text
        case ArrayResult(array=array):
            return _array_to_json(array)
        case FrameResult(columns=columns, rows=rows):
            return orjson.dumps(_records(columns, rows))


_DIRECT_KINDS = frozenset("biuf")


def _array_to_json(array: npt.NDArray[Any]) -> bytes:
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        # As `tolist()` gives it, so that a caller who compares doubles finds what MLflow would have answered.
        array = array.astype(np.float64)
    if array.ndim == 0 or array.size == 0 or array.dtype.kind not in _DIRECT_KINDS:
        return orjson.dumps(array.tolist())
    return orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)


def _records(columns: Iterable[Column], rows: int) -> list[dict[str, Any]]:
    listed = {str(column.name): _values(column) for column in columns}
    if not listed:
        return [{} for _ in range(rows)]
    names = tuple(listed)
    return [dict(zip(names, row, strict=True)) for row in zip(*listed.values(), strict=True)]


def _values(column: Column) -> list[Any]:
    values = column.values
    if isinstance(values, np.ndarray):
        listed = (values.astype("datetime64[us]") if column.type == "datetime" else values).tolist()
    elif column.type == "binary":
        listed = [base64.b64encode(value).decode() for value in values]
    else:
        listed = list(values)
    if column.nulls is None:
        return listed
    return [None if missing else value for value, missing in zip(listed, column.nulls.tolist(), strict=True)]


def result_of(frame: Frame) -> Result:
    return decode_result(frame.meta, frame.body)
