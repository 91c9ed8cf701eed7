"""A short request that a deployment accepts, for people to read, change and send.

The model's own input example comes first, cut where it is long, then a row made from the signature. `/score`'s
codec and the signature's rules check each candidate before the platform shows it.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from data_plane.scoring.codecs.azure import AzureCodec
from data_plane.scoring.codecs.port import RequestContent
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.loaded_bundle import LoadedBundle
from data_plane.scoring.pipeline import prepare
from data_plane.scoring.signature import ColumnSpec, CompiledSignature, TensorSpec
from data_plane.scoring.signature.nested import ANY, ArrayRule, MapRule, Member, ObjectRule
from data_plane.scoring.signature.rule import Rule, TypeMismatch
from modelyard.core.domain.input_example import InputExample, with_rows

_ROWS = 2
_SHORT = 1000
_MOST_BYTES = 16 << 10
_SEARCHED_ROWS = 50
_SCALARS: Mapping[str, Any] = {
    "boolean": True,
    "integer": 1,
    "long": 1,
    "float": 1.0,
    "double": 1.0,
    "string": "text",
    "binary": "AA==",
    "datetime": "2024-01-01T00:00:00",
    "json": "text",
}


def sample_request(loaded: LoadedBundle) -> InputExample | None:
    """The body of a POST to `/score` of at most 16 KB. None: the model has no example that fits, and no signature."""
    return next((each for each in _candidates(loaded) if _is_accepted(each, loaded)), None)


def _candidates(loaded: LoadedBundle) -> Iterator[InputExample]:
    if example := loaded.bundle.input_example:
        if _size_of(example) <= _SHORT:
            yield example
        yield from (with_rows(example, count) for count in (_ROWS, 1))
        # A row without a missing value, where the column takes none.
        yield from (_only_row(example, row) for row in range(1, _SEARCHED_ROWS))
        yield example
    for input_data in _from_signature(loaded.signature):
        yield {"input_data": input_data}


def _only_row(example: InputExample, row: int) -> InputExample:
    """The example with one row. An example without that row gives an empty one, which equals an earlier candidate."""
    match example["input_data"]:
        case {"data": [*rows], **frame}:
            kept = {name: part for name, part in frame.items() if name != "index"}
            return {**example, "input_data": {**kept, "data": rows[row : row + 1]}}
        case [*rows]:
            return {**example, "input_data": rows[row : row + 1]}
        case _:
            return example


def _from_signature(signature: CompiledSignature) -> Iterator[Any]:
    columns = [spec for spec in signature.inputs if isinstance(spec, ColumnSpec)]
    tensors = [spec for spec in signature.inputs if isinstance(spec, TensorSpec)]
    row = [_value(spec.rule) for spec in columns]
    if tensors:
        if any(math.prod(map(abs, spec.shape)) > _MOST_BYTES for spec in tensors):
            return
        named = {spec.name: _tensor(spec) for spec in tensors}
        yield named.get(None, named)
    elif signature.is_raw and row:
        # MLflow writes one column for a type hint: the type of the list's items.
        yield row
        yield [_value(spec.rule, with_optional=False) for spec in columns]
    elif row:
        if all(spec.name is not None for spec in columns):
            names = [spec.name for spec in columns]
            yield {"columns": names, "data": [row]}
            yield [dict(zip(names, row, strict=True))]
        yield [row]


def _tensor(spec: TensorSpec) -> Any:
    filling = _value(spec.rule)
    for size in reversed(spec.shape):
        filling = [filling] * (1 if size < 0 else size)
    return filling


def _value(rule: Rule, *, with_optional: bool = True) -> Any:
    match rule:
        case ArrayRule(items=items):
            return [_value(items.rule, with_optional=with_optional)]
        case MapRule(values=values):
            return {"key": _value(values.rule, with_optional=with_optional)}
        case ObjectRule(properties=properties):
            declared = properties or {}
            return {
                name: _value(each.member.rule, with_optional=with_optional)
                for name, each in declared.items()
                if each.required or with_optional
            }
        case _:
            return _SCALARS[rule.logical_type]


def _is_accepted(example: InputExample, loaded: LoadedBundle) -> bool:
    if _is_empty(example["input_data"]):
        return False
    try:
        body = _json(example)
        if len(body) > _MOST_BYTES:
            return False
        prepare(AzureCodec(), RequestContent(body, b"application/json", None, "score", ""), loaded)
    except (ScoringError, ValueError, RecursionError):
        return False
    return not loaded.signature.is_raw or _fits_type_hint(example["input_data"], loaded.signature)


def _is_empty(value: Any) -> bool:
    return (value["data"] if isinstance(value, dict) and "data" in value else value) in ([], {})


def _fits_type_hint(value: Any, signature: CompiledSignature) -> bool:
    """MLflow validates the value in the worker; here the signature that MLflow wrote for the type hint does."""
    columns = [spec for spec in signature.inputs if isinstance(spec, ColumnSpec)]
    if len(columns) != 1 or columns[0].rule is ANY:
        return True
    if not isinstance(value, list):
        return False
    item = Member(columns[0].rule, null_allowed=not columns[0].required)
    try:
        for entry in value:
            item.convert(entry, "")
    except TypeMismatch:
        return False
    return all(_is_strictly_typed(item.rule, entry) for entry in value)


def _is_strictly_typed(rule: Rule, value: Any, *, in_model: bool = False) -> bool:
    """Return whether pydantic's strict mode, by which MLflow validates a pydantic model, takes the JSON value.

    Strict mode takes no text for a datetime or for bytes.
    """
    match rule:
        case _ if value is None:
            return True
        case ArrayRule(items=items):
            return all(_is_strictly_typed(items.rule, entry, in_model=in_model) for entry in value)
        case MapRule(values=values):
            return all(_is_strictly_typed(values.rule, entry, in_model=in_model) for entry in value.values())
        case ObjectRule(properties=properties):
            declared = properties or {}
            return all(_is_strictly_typed(declared[name].member.rule, value[name], in_model=True) for name in value)
        case _:
            return not (in_model and rule.logical_type in ("datetime", "binary"))


def _size_of(example: InputExample) -> int:
    try:
        return len(_json(example))
    except (ValueError, RecursionError):
        return _MOST_BYTES + 1


def _json(example: InputExample) -> bytes:
    return json.dumps(example, ensure_ascii=False, allow_nan=False).encode()
