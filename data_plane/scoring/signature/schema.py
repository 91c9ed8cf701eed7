"""Read a signature written by MLflow (1.x to 3.x) into rules.

Source: mlflow.types.schema. MLflow 1.x and early 2.x write no `required`, later 2.x may write `optional`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_plane.scoring.signature import nested, numbers, texts
from data_plane.scoring.signature.rule import Rule


class InvalidSignature(Exception):
    """The MLmodel's signature cannot be enforced. The message names the part."""


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    name: str | int | None
    rule: Rule
    required: bool


@dataclass(frozen=True, slots=True)
class TensorSpec:
    name: str | None
    rule: Rule
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ParamSpec:
    name: str
    rule: Rule
    default: Any
    is_list: bool


_SCALARS: Mapping[str, Rule] = {
    "boolean": numbers.BOOLEAN,
    "integer": numbers.INTEGER,
    "long": numbers.LONG,
    "float": numbers.FLOAT,
    "double": numbers.DOUBLE,
    "string": texts.STRING,
    "binary": texts.BINARY,
    "datetime": texts.DATETIME,
    "any": nested.ANY,
    "sparkml_vector": nested.SPARKML_VECTOR,
}


InputSpecs = tuple[ColumnSpec, ...] | tuple[TensorSpec, ...]


def read_inputs(text: str) -> InputSpecs:
    entries = _entries(text, "inputs")
    if any(entry.get("type") == "tensor" for entry in entries):
        return tuple(_tensor(entry) for entry in entries)
    return tuple(_column(entry) for entry in entries)


def read_params(text: str) -> tuple[ParamSpec, ...]:
    return tuple(_param(entry) for entry in _entries(text, "params"))


def _entries(text: str, part: str) -> list[dict[str, Any]]:
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise InvalidSignature(f"the signature's {part} are not JSON: {error}") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidSignature(f"the signature's {part} are not a list of objects")
    return entries


def _column(entry: dict[str, Any]) -> ColumnSpec:
    return ColumnSpec(entry.get("name"), _rule(entry), _is_required(entry))


def _is_required(entry: dict[str, Any]) -> bool:
    # MLflow writes "required": null for nested types without an explicit `required`.
    return entry.get("required") is not False and not entry.get("optional", False)


def _rule(entry: Mapping[str, Any]) -> Rule:
    kind = entry.get("type")
    match kind:
        case "array":
            return nested.ArrayRule(items=nested.Member(_rule(_part(entry, "items"))))
        case "map":
            return nested.MapRule(values=nested.Member(_rule(_part(entry, "values"))))
        case "object":
            properties = _part(entry, "properties")
            return nested.ObjectRule(properties={name: _property(properties[name]) for name in sorted(properties)})
        case str() if kind in _SCALARS:
            return _SCALARS[kind]
        case _:
            raise InvalidSignature(f"the signature names the type {kind!r}, which this version does not know")


def _part(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = entry.get(name)
    if not isinstance(part, dict):
        raise InvalidSignature(f"a type {entry.get('type')!r} in the signature has no {name!r}")
    return part


def _property(entry: dict[str, Any]) -> nested.Property:
    required = _is_required(entry)
    return nested.Property(nested.Member(_rule(entry), null_allowed=not required), required)


def _tensor(entry: dict[str, Any]) -> TensorSpec:
    described = entry.get("tensor-spec")
    if not isinstance(described, dict):
        raise InvalidSignature("the signature mixes tensors with columns, or a tensor has no 'tensor-spec'")
    try:
        dtype = np.dtype(described["dtype"])
        shape = tuple(int(size) for size in described["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidSignature(f"a tensor-spec in the signature cannot be read: {error}") from None
    return TensorSpec(entry.get("name"), _tensor_rule(dtype), dtype, shape)


def _tensor_rule(dtype: np.dtype[Any]) -> Rule:
    match dtype.kind:
        case "b":
            return numbers.BOOLEAN
        case "i" | "u":
            return numbers.whole_number(dtype.name, "long", dtype.name)
        case "f" if dtype.itemsize <= 8:
            return numbers.real_number(dtype.name, "double", dtype.name)
        case "U":
            return texts.STRING
        case "S":
            return texts.BINARY
        case "M":
            return texts.DATETIME
        case "O":
            return nested.ANY
        case _:
            raise InvalidSignature(f"a tensor of {dtype.name} in the signature has no JSON form")


def _param(entry: dict[str, Any]) -> ParamSpec:
    name = entry.get("name")
    if not isinstance(name, str):
        raise InvalidSignature("a param of the signature has no name")
    # MLflow 2.x wrote "dtype" at first.
    rule = _rule({**entry, "type": entry.get("type") or entry.get("dtype")})
    return ParamSpec(name, rule, entry.get("default"), entry.get("shape") is not None)
