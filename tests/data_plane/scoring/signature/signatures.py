"""Signatures in the form of MLmodel files, and shortcuts that enforce a signature."""

import json
from typing import Any

import pytest

from data_plane.scoring.payload.values import BlockPayload, Column, FramePayload
from data_plane.scoring.signature import CompiledSignature, SignatureViolations, Violation, compile_signature
from modelyard.core.domain.mlmodel import RawSignature


def columns(*types: Any, **named: Any) -> CompiledSignature:
    """Each type is a name ("long") or a whole entry ({"type": "array", …}); a trailing "?" makes it optional."""
    entries = [_entry(kind) for kind in types] + [{**_entry(kind), "name": name} for name, kind in named.items()]
    return compiled(entries)


def _entry(kind: Any) -> dict[str, Any]:
    if isinstance(kind, dict):
        return {"required": True, **kind}
    return {"type": kind.removesuffix("?"), "required": not kind.endswith("?")}


def tensor(dtype: str, *shape: int, name: str | None = None) -> dict[str, Any]:
    named = {} if name is None else {"name": name}
    return {**named, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


def compiled(inputs: Any = None, params: Any = None, *, type_hints: bool = False) -> CompiledSignature:
    raw = RawSignature(inputs and json.dumps(inputs), None, params and json.dumps(params))
    return compile_signature(raw if inputs or params else None, type_hints=type_hints)


def frame(signature: CompiledSignature, input_data: Any) -> dict[Any, list[Any]]:
    """The enforced columns by name, None where a value is missing."""
    payload, *_ = signature.enforce(input_data, None)
    assert isinstance(payload, FramePayload | BlockPayload)
    return {column.name: values(column) for column in payload.columns}


def values(column: Column) -> list[Any]:
    listed = column.values if isinstance(column.values, list) else list(column.values)
    missing = [False] * len(listed) if column.nulls is None else column.nulls.tolist()
    plain = [value.item() if hasattr(value, "item") and column.type != "datetime" else value for value in listed]
    return [None if absent else value for value, absent in zip(plain, missing, strict=True)]


def held(kind: Any, value: Any) -> Any:
    """Return the converted value of a frame with one column and one row."""
    return frame(columns(value=kind), [{"value": value}])["value"][0]


def violations(signature: CompiledSignature, input_data: Any, params: Any = None) -> tuple[Violation, ...]:
    with pytest.raises(SignatureViolations) as refused:
        signature.enforce(input_data, params)
    return refused.value.violations


def refused(kind: Any, value: Any) -> Violation:
    (violation,) = violations(columns(value=kind), [{"value": value}])
    assert (violation.column or "").startswith("value")
    assert violation.row == 0
    return violation
