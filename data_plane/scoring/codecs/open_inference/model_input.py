"""The tensors of an infer request as a payload: by the model's signature, or without a signature by content types."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.codecs.open_inference.content_types import (
    as_json_if_valid,
    as_texts,
    as_texts_if_all_are,
    decoded,
)
from data_plane.scoring.codecs.open_inference.infer_request import InferRequest, Tensor
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.payload.values import ArraysPayload, JsonPayload
from data_plane.scoring.signature import CompiledSignature, Enforced, SignatureViolations
from data_plane.scoring.signature.rule import convert
from data_plane.scoring.signature.schema import ColumnSpec
from data_plane.scoring.signature.table import Table, TypedColumn
from data_plane.scoring.signature.text_arrays import text_array
from data_plane.scoring.signature.texts import DATETIME
from data_plane.scoring.signature.violations import ViolationCollector

_FRAME, _ARRAY, _ARRAYS, _TEXTS = "pd", "np", "dict", "str"
# Every element of a fixed-width array is as wide as the longest one.
_LARGEST_FIXED_WIDTH = 64 << 20


def enforce(request: InferRequest, signature: CompiledSignature) -> Enforced:
    if signature.is_raw:
        return signature.enforce(_raw_value(request.tensors), request.params)
    if not signature.inputs:
        return _unsigned(request, signature)
    return signature.enforce_tensors(_declared_arrays(request.tensors, signature), request.params)


# By the signature.


def _declared_arrays(tensors: Sequence[Tensor], signature: CompiledSignature) -> dict[str, npt.NDArray[Any]]:
    columns = {str(spec.name): spec for spec in signature.inputs if isinstance(spec, ColumnSpec)}
    arrays = {tensor.name: _declared_array(tensor, columns.get(tensor.name)) for tensor in tensors}
    if len(columns) == len(arrays) == 1 and arrays.keys() != columns.keys():
        # The names of a single tensor and a single column may differ.
        return {name: array.reshape(-1, 1) if array.ndim == 1 else array for name, array in arrays.items()}
    return arrays


def _declared_array(tensor: Tensor, column: ColumnSpec | None) -> npt.NDArray[Any]:
    array = decoded(tensor)
    if tensor.is_bytes and tensor.content_type is None and column is not None and column.rule.logical_type == "json":
        return as_json_if_valid(array)
    return array


def _raw_value(tensors: Sequence[Tensor]) -> Any:
    """Make the value for a type hint: a list of values, or of objects with one value of each tensor."""
    values = {tensor.name: _listed(tensor) for tensor in tensors}
    if len(tensors) == 1:
        return values[tensors[0].name]
    if len(set(map(_length, values.values()))) > 1 or not all(isinstance(value, list) for value in values.values()):
        raise InvalidBody("the inputs must have equally many rows")
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _listed(tensor: Tensor) -> Any:
    if not tensor.is_bytes:
        return tensor.array.tolist()
    array = decoded(tensor) if tensor.content_type in ("pd_json", "hg_json") else as_texts(tensor)
    return (array[:, 0] if _is_column(array) and array.ndim > 1 else array).tolist()


def _length(value: Any) -> int:
    return len(value) if isinstance(value, list) else -1


# Without a signature.


def _unsigned(request: InferRequest, signature: CompiledSignature) -> Enforced:
    arrays = {tensor.name: _plain(tensor) for tensor in request.tensors}
    wanted = request.content_type
    if wanted == _FRAME or (wanted not in (_ARRAY, _ARRAYS, _TEXTS) and _are_columns(arrays)):
        return signature.enforce_table(_table(request.tensors, arrays), request.params)
    if wanted in (_ARRAY, _TEXTS) and len(arrays) > 1:
        raise InvalidBody(f"the content type {wanted!r} applies to a single input")
    if wanted == _TEXTS and request.tensors[0].is_bytes:
        texts = as_texts(request.tensors[0]).reshape(-1).tolist()
        return signature.enforce(texts, request.params)._replace(payload=JsonPayload(texts))
    typed = {tensor.name: _without_objects(tensor, arrays[tensor.name]) for tensor in request.tensors}
    enforced = signature.enforce_tensors(typed, request.params)
    return enforced._replace(payload=ArraysPayload(typed)) if wanted == _ARRAYS else enforced


def _plain(tensor: Tensor) -> npt.NDArray[Any]:
    array = decoded(tensor)
    return as_texts_if_all_are(array) if tensor.is_bytes and tensor.content_type != "base64" else array


def _are_columns(arrays: dict[str, npt.NDArray[Any]]) -> bool:
    """Whether the inputs are several columns of one length, which make a table."""
    each = arrays.values()
    return len(arrays) > 1 and all(map(_is_column, each)) and len({len(array) for array in each}) == 1


def _is_column(array: npt.NDArray[Any]) -> bool:
    return array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)


def _table(tensors: Sequence[Tensor], arrays: dict[str, npt.NDArray[Any]]) -> Table:
    for name, array in arrays.items():
        if not _is_column(array):
            raise InvalidBody(f"input {name!r}: a column of a frame has the shape [rows] or [rows, 1]")
    if len({len(array) for array in arrays.values()}) > 1:
        raise InvalidBody("the columns of a frame must have equally many rows")
    columns = tuple(_typed_column(tensor, arrays[tensor.name].reshape(-1)) for tensor in tensors)
    return Table(tuple(arrays), columns, len(next(iter(arrays.values()))))


def _typed_column(tensor: Tensor, values: npt.NDArray[Any]) -> TypedColumn:
    if tensor.content_type == "datetime":
        return _datetimes(tensor.name, values.tolist())
    return TypedColumn(values.tolist() if values.dtype.hasobject else values)


def _datetimes(name: str, texts: list[Any]) -> TypedColumn:
    collector = ViolationCollector("input")
    converted, nulls = convert(DATETIME, texts, name, collector, null_allowed=True)
    try:
        collector.raise_if_any()
    except SignatureViolations as violations:
        raise InvalidBody(f"the data does not fit its content type: {violations.listing}") from None
    return TypedColumn(converted, nulls)


def _without_objects(tensor: Tensor, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Convert text and bytes to numpy's fixed-width types."""
    if not array.dtype.hasobject:
        return array
    elements = array.reshape(-1).tolist()
    kinds = set(map(type, elements))
    if not tensor.is_bytes:
        raise InvalidBody(f"input {tensor.name!r}: a tensor cannot hold null; send columns with content type 'pd'")
    if bytes in kinds:
        return _fixed_bytes(tensor.name, elements).reshape(array.shape)
    return text_array(elements).reshape(array.shape) if kinds == {str} else array


def _fixed_bytes(name: str, elements: list[Any]) -> npt.NDArray[Any]:
    fixed = None
    if set(map(type, elements)) == {bytes} and len(elements) * max(map(len, elements)) <= _LARGEST_FIXED_WIDTH:
        fixed = np.array(elements, dtype=np.bytes_)
    # numpy cuts zero bytes at the end of an element.
    if fixed is None or fixed.tolist() != elements:
        raise InvalidBody(f"input {name!r}: these bytes have no tensor form; send columns with content type 'pd'")
    return fixed
