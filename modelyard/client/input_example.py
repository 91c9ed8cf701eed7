"""A request body for a model: from the example that was logged with it, else from its signature.

MLflow keeps an example as `serving_input_example.json` (since 2.16), a payload for MLflow's own server, and as
`input_example.json`, the bare input. The platform takes the input under "input_data".
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from modelyard.core.domain.mlmodel import MLMODEL_FILE, MLModel, parse_mlmodel

_SERVING_KEYS = ("dataframe_split", "dataframe_records", "inputs", "instances")
_PARAMS = "params"
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
    """A body that the model in `folder` accepts, short enough to read; None when nothing tells what it takes."""
    model = parse_mlmodel((folder / MLMODEL_FILE).read_bytes())
    body = _from_example(folder, model) or _from_signature(model)
    return _shortened(body) if body else None


def _from_example(folder: Path, model: MLModel) -> dict[str, Any] | None:
    if model.input_example is None:
        return None
    try:
        return _as_body(json.loads((folder / model.input_example).read_text(), parse_constant=_null))
    except (OSError, ValueError):
        return None


def _null(_: str) -> None:
    """NaN and the infinities, which JSON does not have."""


def _as_body(example: Any) -> dict[str, Any]:
    if not isinstance(example, dict):
        return {"input_data": example}
    params = {_PARAMS: example[_PARAMS]} if isinstance(example.get(_PARAMS), dict) else {}
    for key in _SERVING_KEYS:
        if key in example and set(example) <= {key, _PARAMS}:
            return {"input_data": _without_default_columns(example[key]), **params}
    return {"input_data": _without_default_columns(example)}


def _without_default_columns(value: Any) -> Any:
    """MLflow leaves the columns out of a frame whose columns are 0, 1, 2; that is an array here."""
    return value["data"] if isinstance(value, dict) and set(value) == {"data"} else value


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
    if len(json.dumps(body)) <= _LONG:
        return body
    data = body["input_data"]
    if isinstance(data, dict) and isinstance(data.get("data"), list):
        rows = {name: value[:_ROWS] for name, value in data.items() if name in {"data", "index"}}
        return {**body, "input_data": {**data, **rows}}
    return {**body, "input_data": data[:_ROWS]} if isinstance(data, list) else body
