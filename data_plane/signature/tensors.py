"""A tensor signature: nested lists become arrays of the declared dtype and shape, -1 being any size."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.guests.codec import ArrayPayload, ArraysPayload, JsonPayload, Payload
from data_plane.signature.rule import Stored, convert
from data_plane.signature.schema import TensorSpec
from data_plane.signature.violations import Findings, describe

_LIST = {list}
# MLflow lets anything pass for this one, lists of unequal length included.
_ANYTHING = (np.dtype(object), (-1,))


class TensorInput:
    """One unnamed tensor."""

    def __init__(self, spec: TensorSpec) -> None:
        self._spec = spec

    def payload(self, input_data: Any, findings: Findings) -> Payload | None:
        if (self._spec.dtype, self._spec.shape) == _ANYTHING:
            return JsonPayload(input_data)
        array = read_tensor(self._spec, input_data, findings)
        return None if array is None else ArrayPayload(array)


class NamedTensorInputs:
    def __init__(self, specs: Sequence[TensorSpec]) -> None:
        self._specs = {str(spec.name): spec for spec in specs}

    def payload(self, input_data: Any, findings: Findings) -> Payload | None:
        if not isinstance(input_data, dict):
            names = ", ".join(map(repr, self._specs))
            findings.add(None, None, f"an object with the tensors {names}", describe(input_data))
            return None
        arrays = {name: self._named(name, spec, input_data, findings) for name, spec in self._specs.items()}
        return ArraysPayload({name: array for name, array in arrays.items() if array is not None})

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
    if any(declared not in (-1, found) for declared, found in zip(spec.shape, shape, strict=True)):
        findings.add(spec.name, None, _expected(spec), f"the shape {_shape_text(shape)}")
        return None
    held, _ = convert(spec.rule, flat, spec.name, findings, null_allowed=False)
    return None if findings else _as_array(held, spec.dtype).reshape(shape)


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
