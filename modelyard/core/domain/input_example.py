"""The input example that MLflow saved with a model, as the body of a request to `/score`.

Source: mlflow.models.utils (1.x to 3.x). Since 2.14 there is `serving_input_example.json`, the body of a request to
`/invocations`; before, `input_example.json` was the frame in split orientation or the value itself.
"""

import json
from typing import Any

LARGEST_FILE = 4 << 20
"""Larger files are not read. Bytes."""
_DEEPEST = 100
# Names around the input in a request to MLflow's server.
_WRAPPERS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_FRAME = frozenset({"columns", "index", "data"})
_OF_EACH_ROW = ("data", "index")

InputExample = dict[str, Any]
"""`input_data`, and `params` if there are any."""


def read_input_example(content: bytes) -> InputExample | None:
    """None for an example that no request can carry. NaN and the infinities, which JSON lacks, become null."""
    try:
        example = _as_scored(json.loads(content, parse_constant=lambda name: None))
        _check_depth(example, _DEEPEST)
        size_of(example)
    except (ValueError, RecursionError):
        return None
    return example


def size_of(example: InputExample) -> int:
    """Size as JSON, in bytes. Raises ValueError for a text that is not valid UTF-8."""
    return len(json.dumps(example, ensure_ascii=False).encode())


def with_rows(example: InputExample, most: int) -> InputExample:
    """The example cut to `most` rows, where it has rows."""
    match example["input_data"]:
        case {"data": [*_], **_unused} as frame:
            cut = {name: frame[name][:most] for name in _OF_EACH_ROW if isinstance(frame.get(name), list)}
            return {**example, "input_data": {**frame, **cut}}
        case [*rows]:
            return {**example, "input_data": rows[:most]}
        case dict(columns) if all(isinstance(values, list) for values in columns.values()):
            return {**example, "input_data": {name: values[:most] for name, values in columns.items()}}
        case _:
            return example


def _as_scored(document: Any) -> InputExample:
    if not isinstance(document, dict):
        return {"input_data": document}
    rest = {name: value for name, value in document.items() if name != "params"}
    wrapper = next((name for name in _WRAPPERS if rest.keys() == {name}), None)
    if wrapper is None and not ("data" in rest and rest.keys() <= _FRAME):
        return {"input_data": document}
    params = document.get("params")
    with_params = {"params": params} if isinstance(params, dict) else {}
    return {"input_data": _without_default_columns(rest[wrapper] if wrapper else rest), **with_params}


def _without_default_columns(value: Any) -> Any:
    """Return an array for a frame without columns: MLflow leaves the default columns 0, 1, 2 out."""
    return value["data"] if isinstance(value, dict) and value.keys() == {"data"} else value


def _check_depth(value: Any, levels: int) -> None:
    """Raise RecursionError for values nested more than `levels` deep."""
    if levels < 0:
        raise RecursionError
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_depth(part, levels - 1)
