"""A model's signature in readable text, for the docstring of the script."""

import json
from collections.abc import Iterator
from typing import Any

from modelyard.core.domain.mlmodel import RawSignature

_MAX_LINES = 60


def describe_inputs(signature: RawSignature | None) -> list[str]:
    """A line per input; no lines without a readable signature."""
    return _described(signature.inputs) if signature and signature.inputs else []


def describe_params(signature: RawSignature | None) -> list[str]:
    return _described(signature.params) if signature and signature.params else []


def input_kind(signature: RawSignature | None) -> str:
    """The kind of input for run()."""
    entries = _entries(signature.inputs) if signature and signature.inputs else []
    if not entries:
        return "the value of the request, because the model has no signature"
    if entries[0].get("type") != "tensor":
        return "a pandas DataFrame with the signature's columns"
    return "a numpy array" if entries[0].get("name") is None else "a dict of numpy arrays"


def _described(text: str) -> list[str]:
    lines = list(_lines(_entries(text)))
    surplus = len(lines) - _MAX_LINES
    return [*lines[:_MAX_LINES], f"... and {surplus} more"] if surplus > 0 else lines


def _entries(text: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError:
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _lines(entries: list[dict[str, Any]]) -> Iterator[str]:
    for number, entry in enumerate(entries):
        name = json.dumps(entry.get("name", number))
        yield f"{name}: {_type(entry)}{_remark(entry)}"


def _type(entry: dict[str, Any]) -> str:
    tensor = entry.get("tensor-spec")
    if isinstance(tensor, dict):
        return f"tensor of {tensor.get('dtype')}, shape {tensor.get('shape')}"
    kind = entry.get("type", entry.get("dtype", "any"))
    return json.dumps(kind).strip('"')


def _remark(entry: dict[str, Any]) -> str:
    if "default" in entry:
        return f", default {json.dumps(entry['default'])}"
    return " (optional)" if entry.get("required") is False or entry.get("optional") else ""
