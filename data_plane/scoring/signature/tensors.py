"""A tensor signature: nested lists become arrays of the declared dtype and shape, -1 being any size."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.payload.values import ArrayPayload, ArraysPayload, Payload
from data_plane.scoring.signature.json_values import can_travel
from data_plane.scoring.signature.rule import Stored, convert
from data_plane.scoring.signature.schema import TensorSpec
from data_plane.scoring.signature.table import Table, TypedColumn
from data_plane.scoring.signature.tensor_layouts import as_frame
from data_plane.scoring.signature.text_arrays import text_array
from data_plane.scoring.signature.typed import convert_typed, listed
from data_plane.scoring.signature.violations import Findings, describe

_LIST = {list}
# MLflow lets anything pass for this one, lists of unequal length included.
_ANYTHING = (np.dtype(object), (-1,))


class TensorInput:
    """One unnamed tensor."""

    def __init__(self, spec: TensorSpec) -> None:
        self._spec = spec

    def payload(self, input_data: Any, findings: Findings) -> Payload | None:
        frame = as_frame(input_data)
        return self._read(input_data, findings) if frame is None else self.of_table(frame, findings)

    def _read(self, value: Any, findings: Findings) -> Payload | None:
        if (self._spec.dtype, self._spec.shape) == _ANYTHING and isinstance(value, list):
            return ArrayPayload(np.array(value, dtype=object)) if can_travel(value, findings) else None
        array = read_tensor(self._spec, value, findings)
        return None if array is None else ArrayPayload(array)

    def of_table(self, table: Table, findings: Findings) -> Payload | None:
        """As many columns as the second dimension, or one whose values are the tensor's parts."""
        columns = [values_of(column) for column in table.columns]
        if len(columns) == 1:
            return self._read(parts_of(columns[0], self._spec.shape), findings)
        return self._read(list(map(list, zip(*columns, strict=True))), findings)

    def of_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], findings: Findings) -> Payload | None:
        if len(arrays) != 1:
            findings.add(None, None, _expected(self._spec), f"{len(arrays)} tensors")
            return None
        (given,) = arrays.values()
        array = hold_tensor(self._spec, given, findings)
        return None if array is None else ArrayPayload(array)


class NamedTensorInputs:
    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        self._specs = {str(spec.name): spec for spec in specs}

    def payload(self, input_data: Any, findings: Findings) -> Payload | None:
        frame = None if self._specs.keys() & {"data"} else as_frame(input_data)
        if frame is not None:
            return self.of_table(frame, findings)
        if isinstance(input_data, list) and len(self._specs) == 1:
            input_data = dict.fromkeys(self._specs, input_data)
        if not isinstance(input_data, dict):
            names = ", ".join(map(repr, self._specs))
            findings.add(None, None, f"an object with the tensors {names}", describe(input_data))
            return None
        return self._read(input_data, findings)

    def _read(self, input_data: dict[str, Any], findings: Findings) -> Payload | None:
        findings.extra_columns = tuple(name for name in input_data if name not in self._specs)
        arrays = {name: self._named(name, spec, input_data, findings) for name, spec in self._specs.items()}
        return ArraysPayload({name: array for name, array in arrays.items() if array is not None})

    def of_table(self, table: Table, findings: Findings) -> Payload | None:
        if table.names is None:
            findings.add(None, None, f"columns with the names {', '.join(map(repr, self._specs))}", "none")
            return None
        columns = dict(zip(table.names, map(values_of, table.columns), strict=True))
        parts = {
            name: parts_of(values, self._specs[name].shape) if name in self._specs else values
            for name, values in columns.items()
        }
        return self._read(parts, findings)

    def of_tensors(self, arrays: Mapping[str, npt.NDArray[Any]], findings: Findings) -> Payload | None:
        findings.extra_columns = tuple(name for name in arrays if name not in self._specs)
        held = {}
        for name, spec in self._specs.items():
            if name not in arrays:
                findings.add(name, None, _expected(spec), "no such tensor")
            elif (array := hold_tensor(spec, arrays[name], findings)) is not None:
                held[name] = array
        return ArraysPayload(held)

    def _named(self, name: str, spec: TensorSpec, body: dict[str, Any], findings: Findings) -> npt.NDArray[Any] | None:
        if name not in body:
            findings.add(name, None, _expected(spec), "no such tensor")
            return None
        return read_tensor(spec, body[name], findings)


def read_tensor(spec: TensorSpec, value: Any, findings: Findings) -> npt.NDArray[Any] | None:
    """The declared array, or None after adding to `findings` what does not fit."""
    flattened = _flatten(value, spec.shape)
    if flattened is None:
        findings.add(spec.name, None, _expected(spec), _shape_of(value))
        return None
    flat, shape = flattened
    if not _fits(spec.shape, shape):
        findings.add(spec.name, None, _expected(spec), f"the shape {_shape_text(shape)}")
        return None
    before = len(findings)
    held, _ = convert(spec.rule, flat, spec.name, findings, null_allowed=False)
    return _as_array(held, spec.dtype).reshape(shape) if len(findings) == before else None


def hold_tensor(spec: TensorSpec, given: npt.NDArray[Any], findings: Findings) -> npt.NDArray[Any] | None:
    """The same of what is an array already."""
    if len(given.shape) != len(spec.shape) or not _fits(spec.shape, given.shape):
        findings.add(spec.name, None, _expected(spec), f"the shape {_shape_text(given.shape)}")
        return None
    flat = given.reshape(-1)
    column = TypedColumn(flat.tolist() if given.dtype.hasobject else flat)
    before = len(findings)
    held, _ = convert_typed(spec.rule, column, spec.name or "", findings, null_allowed=False)
    return _as_array(held, spec.dtype).reshape(given.shape) if len(findings) == before else None


def parts_of(column: list[Any], shape: Sequence[int]) -> list[Any]:
    """A column's values as the parts of a tensor: single ones where each row is one, flat lists nested as declared."""
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
    """As JSON would have them."""
    values = listed(column.values)
    if column.nulls is None:
        return values
    return [None if absent else value for value, absent in zip(values, column.nulls.tolist(), strict=True)]


def _fits(declared: Sequence[int], found: Sequence[int]) -> bool:
    return all(size in (-1, there) for size, there in zip(declared, found, strict=True))


def _flatten(value: Any, declared: Sequence[int]) -> tuple[list[Any], tuple[int, ...]] | None:
    """The leaves and the shape of lists nested as deep as declared; None when they are not, or of unequal length."""
    level: list[Any] = [value]
    shape: list[int] = []
    for _ in declared:
        if not level:
            # Below an empty list there is nothing to measure.
            return [], (*shape, *(max(size, 0) for size in declared[len(shape) :]))
        lengths = set(map(len, level)) if set(map(type, level)) == _LIST else set()
        if len(lengths) != 1:
            return None
        shape.append(lengths.pop())
        level = list(chain.from_iterable(level))
    return level, tuple(shape)


def _as_array(held: Stored, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    if dtype.kind == "U":
        return text_array(held)  # type: ignore[arg-type]
    if dtype.kind != "O":
        return np.asarray(held).astype(dtype, copy=False) if len(held) else np.empty(0, dtype)
    # np.array would take a list among the values for a further dimension.
    array = np.empty(len(held), dtype=object)
    array[:] = held
    return array


def _expected(spec: TensorSpec) -> str:
    return f"a tensor of {spec.dtype.name} in nested lists with the shape {_shape_text(spec.shape)}"


def _shape_text(shape: Sequence[int]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def _shape_of(value: Any) -> str:
    """What can be said of a value that is no such tensor."""
    if not isinstance(value, list):
        return describe(value)
    depth = 0
    first: Any = value
    while isinstance(first, list):
        depth += 1
        first = first[0] if first else None
    return f"a list nested {depth} deep, or with parts of unequal length"
