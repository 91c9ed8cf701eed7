"""An example request for a model, from the logged input example or from the signature."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from modelyard.core.domain.input_example import read_input_example, size_of, with_rows
from modelyard.core.domain.mlmodel import MLMODEL_FILE, MLModel, parse_mlmodel

_ROWS = 2
_LONG = 1000
_SCALARS: Mapping[str, Any] = {
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
    "string": "text",
    "binary": "",
    "datetime": "2024-01-01T00:00:00",
}


def request_body(folder: Path) -> dict[str, Any] | None:
    """Return a short request body for a model; None without an input example and without a signature."""
    model = parse_mlmodel((folder / MLMODEL_FILE).read_bytes())
    body = _from_example(folder, model) or _from_signature(model)
    return _shortened(body) if body else None


def _from_example(folder: Path, model: MLModel) -> dict[str, Any] | None:
    if model.input_example is None:
        return None
    try:
        return read_input_example((folder / model.input_example).read_bytes())
    except OSError:
        return None


def _from_signature(model: MLModel) -> dict[str, Any] | None:
    inputs = model.signature.inputs if model.signature else None
    columns = yaml.safe_load(inputs) if inputs else None
    if not isinstance(columns, list) or not columns:
        return None
    if columns[0].get("type") == "tensor":
        return {"input_data": _tensors(columns)}
    if any("name" not in column for column in columns):
        return {"input_data": [[_value(column) for column in columns]]}
    names = [column["name"] for column in columns]
    return {"input_data": {"columns": names, "data": [[_value(column) for column in columns]]}}


def _tensors(columns: list[dict[str, Any]]) -> Any:
    if "name" not in columns[0]:
        return _tensor(columns[0]["tensor-spec"])
    return {column["name"]: _tensor(column["tensor-spec"]) for column in columns}


def _tensor(spec: Mapping[str, Any]) -> Any:
    filling: Any = "text" if spec["dtype"] in {"str", "object"} else 1.0 if "float" in spec["dtype"] else 1
    for size in reversed(spec["shape"]):
        filling = [filling] * (1 if size == -1 else size)
    return filling


def _value(column: Mapping[str, Any]) -> Any:
    kind = column.get("type", "string")
    nested: Mapping[str, Callable[[], Any]] = {
        "array": lambda: [_value(column["items"])],
        "object": lambda: {name: _value(entry) for name, entry in column["properties"].items()},
        "map": lambda: {"key": _value(column["values"])},
    }
    return nested[kind]() if kind in nested else _SCALARS.get(kind)


def _shortened(body: dict[str, Any]) -> dict[str, Any]:
    return body if size_of(body) <= _LONG else with_rows(body, _ROWS)
