"""Enforce a tensor signature: nested lists become arrays of the declared dtype and shape. Size -1: any size."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.payload.values import ArrayPayload, ArraysPayload, Payload
from data_plane.scoring.signature.json_values import can_be_sent
from data_plane.scoring.signature.rule import ColumnValues, convert
from data_plane.scoring.signature.schema import TensorSpec
from data_plane.scoring.signature.table import Table, TypedColumn
from data_plane.scoring.signature.tensor_layouts import as_frame
from data_plane.scoring.signature.text_arrays import text_array
from data_plane.scoring.signature.typed import convert_typed, to_list
from data_plane.scoring.signature.violations import ViolationCollector, describe

_LIST = {list}
# MLflow accepts any list for this spec, even a ragged list.
_ANYTHING = (np.dtype(object), (-1,))


class TensorInput:
    """One unnamed tensor."""

    def __init__(self, spec: TensorSpec) -> None:
        self._spec = spec

    def from_json(self, input_data: Any, collector: ViolationCollector) -> Payload | None:
        frame = as_frame(input_data)
        return self._read(input_data, collector) if frame is None else self.from_table(frame, collector)

    def _read(self, value: Any, collector: ViolationCollector) -> Payload | None:
        if (self._spec.dtype, self._spec.shape) == _ANYTHING and isinstance(value, list):
            return ArrayPayload(np.array(value, dtype=object)) if can_be_sent(value, collector) else None
        array = read_tensor(self._spec, value, collector)
        return None if array is None else ArrayPayload(array)

    def from_table(self, table: Table, collector: ViolationCollector) -> Payload | None:
        """Convert a table: a column per entry of the second dimension, or a single column of nested values."""
        columns = [values_of(column) for column in table.columns]
        if len(columns) == 1:
            return self._read(parts_of(columns[0], self._spec.shape), collector)
        return self._read(list(map(list, zip(*columns, strict=True))), collector)

    def from_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], collector: ViolationCollector) -> Payload | None:
        if len(arrays) != 1:
            collector.add(None, None, _expected(self._spec), f"{len(arrays)} tensors")
            return None
        (given,) = arrays.values()
        array = convert_tensor(self._spec, given, collector)
        return None if array is None else ArrayPayload(array)


class NamedTensorInputs:
    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        self._specs = {str(spec.name): spec for spec in specs}

    def from_json(self, input_data: Any, collector: ViolationCollector) -> Payload | None:
        frame = None if self._specs.keys() & {"data"} else as_frame(input_data)
        if frame is not None:
            return self.from_table(frame, collector)
        if isinstance(input_data, list) and len(self._specs) == 1:
            input_data = dict.fromkeys(self._specs, input_data)
        if not isinstance(input_data, dict):
            names = ", ".join(map(repr, self._specs))
            collector.add(None, None, f"an object with the tensors {names}", describe(input_data))
            return None
        return self._read(input_data, collector)

    def _read(self, input_data: dict[str, Any], collector: ViolationCollector) -> Payload | None:
        collector.extra_columns = tuple(name for name in input_data if name not in self._specs)
        arrays = {name: self._named(name, spec, input_data, collector) for name, spec in self._specs.items()}
        return ArraysPayload({name: array for name, array in arrays.items() if array is not None})

    def from_table(self, table: Table, collector: ViolationCollector) -> Payload | None:
        if table.names is None:
            collector.add(None, None, f"columns with the names {', '.join(map(repr, self._specs))}", "none")
            return None
        columns = dict(zip(table.names, map(values_of, table.columns), strict=True))
        parts = {
            name: parts_of(values, self._specs[name].shape) if name in self._specs else values
            for name, values in columns.items()
        }
        return self._read(parts, collector)

    def from_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], collector: ViolationCollector) -> Payload | None:
        collector.extra_columns = tuple(name for name in arrays if name not in self._specs)
        converted = {}
        for name, spec in self._specs.items():
            if name not in arrays:
                collector.add_missing(name, _type_name(spec), list(arrays))
            elif (array := convert_tensor(spec, arrays[name], collector)) is not None:
                converted[name] = array
        return ArraysPayload(converted)

    def _named(
        self, name: str, spec: TensorSpec, body: dict[str, Any], collector: ViolationCollector
    ) -> npt.NDArray[Any] | None:
        if name not in body:
            collector.add_missing(name, _type_name(spec), list(body))
            return None
        return read_tensor(spec, body[name], collector)


def read_tensor(spec: TensorSpec, value: Any, collector: ViolationCollector) -> npt.NDArray[Any] | None:
    """Convert nested lists to the declared array. None: the violations are in `collector`."""
    flattened = _flatten(value, spec.shape)
    if flattened is None:
        collector.add(spec.name, None, _expected(spec), _shape_of(value))
        return None
    flat, shape = flattened
    if not _fits(spec.shape, shape):
        collector.add(spec.name, None, _expected(spec), f"the shape {_shape_text(shape)}")
        return None
    before = len(collector)
    converted, _ = convert(spec.rule, flat, spec.name, collector, null_allowed=False)
    return _as_array(converted, spec.dtype).reshape(shape) if len(collector) == before else None


def convert_tensor(spec: TensorSpec, given: npt.NDArray[Any], collector: ViolationCollector) -> npt.NDArray[Any] | None:
    """Convert an array to the declared array. None: the violations are in `collector`."""
    if len(given.shape) != len(spec.shape) or not _fits(spec.shape, given.shape):
        collector.add(spec.name, None, _expected(spec), f"the shape {_shape_text(given.shape)}")
        return None
    flat = given.reshape(-1)
    column = TypedColumn(flat.tolist() if given.dtype.hasobject else flat)
    before = len(collector)
    converted, _ = convert_typed(spec.rule, column, spec.name or "", collector, null_allowed=False)
    return _as_array(converted, spec.dtype).reshape(given.shape) if len(collector) == before else None


def parts_of(column: list[Any], shape: Sequence[int]) -> list[Any]:
    """Nest a column's values by the tensor's shape: scalars become lists of one, flat lists the declared nesting."""
    if len(shape) == 2 and not any(isinstance(value, list) for value in column):
        return [[value] for value in column]
    sizes = shape[2:]
    if len(shape) < 3 or -1 in shape[1:] or any(isinstance(part, list) for value in column for part in _items(value)):
        return column
    return [_nested(value, sizes) for value in column]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _nested(flat: Any, sizes: Sequence[int]) -> Any:
    for size in reversed(sizes):
        if not isinstance(flat, list) or not size or len(flat) % size:
            return flat
        flat = [flat[start : start + size] for start in range(0, len(flat), size)]
    return flat


def values_of(column: TypedColumn) -> list[Any]:
    """Convert a column to the values that JSON would have given."""
    values = to_list(column.values)
    if column.nulls is None:
        return values
    return [None if absent else value for value, absent in zip(values, column.nulls.tolist(), strict=True)]


def _fits(declared: Sequence[int], found: Sequence[int]) -> bool:
    return all(size in (-1, there) for size, there in zip(declared, found, strict=True))


def _flatten(value: Any, declared: Sequence[int]) -> tuple[list[Any], tuple[int, ...]] | None:
    """Return the leaves and the shape of nested lists. None: the depth is not as declared, or the lists are ragged."""
    level: list[Any] = [value]
    shape: list[int] = []
    for _ in declared:
        if not level:
            # The sizes below an empty list are unknown: take the declared sizes.
            return [], (*shape, *(max(size, 0) for size in declared[len(shape) :]))
        lengths = set(map(len, level)) if set(map(type, level)) == _LIST else set()
        if len(lengths) != 1:
            return None
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    return level, tuple(shape)


def _as_array(converted: ColumnValues, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if dtype.kind == "U":
        return text_array(converted)  # type: ignore[arg-type]
    if dtype.kind != "O":
        return np.asarray(converted).astype(dtype, copy=False) if len(converted) else np.empty(0, dtype)
    # np.array would turn lists among the values into a further dimension.
    array = np.empty(len(converted), dtype=object)
    array[:] = converted
    return array


def _type_name(spec: TensorSpec) -> str:
    return f"{spec.dtype.name} of the shape {_shape_text(spec.shape)}"


def _expected(spec: TensorSpec) -> str:
    return f"a tensor of {spec.dtype.name} in nested lists with the shape {_shape_text(spec.shape)}"


def _shape_text(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _shape_of(value: Any) -> str:
    """Describe the value's shape for a violation."""
    if not isinstance(value, list):
        return describe(value)
    depth = 0
    first: Any = value
    while isinstance(first, list):
        depth += 1
        first = first[0] if first else None
    return f"a list nested {depth} deep, or with parts of unequal length"
