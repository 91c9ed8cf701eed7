"""JSON bodies of `/invocations`: one of MLflow's four formats with `params`, or the body of an LLM client."""

from typing import Any, NamedTuple, NoReturn

import orjson

from data_plane.scoring.codecs.port import unused_fields
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.payload.values import JsonPayload
from data_plane.scoring.signature import CompiledSignature, Enforced, parse_json
from data_plane.scoring.signature.schema import ColumnSpec
from data_plane.scoring.tables.json_frames import records_table, split_table

_FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_KEYS = frozenset({*_FORMATS, "params"})
_RAW_KEYS = frozenset({"inputs", "params"})
_EXPECTED = "the body must be a JSON object with exactly one of " + ", ".join(map(repr, _FORMATS))
_LLM_KEYS = frozenset({"messages", "prompt", "input"})


class ReadBody(NamedTuple):
    enforced: Enforced
    is_unwrapped: bool
    """Whether the body is that of an LLM client."""
    without_effect: tuple[str, ...] = ()


def read_json(body: bytes, signature: CompiledSignature) -> ReadBody:
    document = _document(body)
    if document.keys().isdisjoint(_LLM_KEYS):
        enforced = _enforce_wrapped(document, signature)
        return ReadBody(
            enforced,
            is_unwrapped=False,
            without_effect=unused_fields(document, _RAW_KEYS if signature.is_raw else _KEYS, enforced),
        )
    return ReadBody(_enforce_unwrapped(document, signature), is_unwrapped=True)


def _enforce_wrapped(document: dict[str, Any], signature: CompiledSignature) -> Enforced:
    present = [name for name in _FORMATS if name in document]
    if signature.is_raw and "inputs" in present:
        return signature.enforce(document["inputs"], document.get("params"))
    if signature.is_raw:
        raise InvalidBody("the model declares its input by a type hint: send a JSON object with 'inputs'")
    if len(present) != 1:
        raise InvalidBody(f"{_EXPECTED}; the body has {' and '.join(map(repr, present)) or 'none of them'}")
    return _enforce(present[0], document[present[0]], document.get("params"), signature)


def _document(body: bytes) -> dict[str, Any]:
    if not body:
        raise InvalidBody(f"the body is empty; {_EXPECTED}")
    try:
        document = parse_json(body)
    except orjson.JSONDecodeError as error:
        raise InvalidBody(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidBody(_EXPECTED)
    return document


def _enforce_unwrapped(document: dict[str, Any], signature: CompiledSignature) -> Enforced:
    names = {spec.name for spec in signature.params}
    params = {name: value for name, value in document.items() if name in names}
    data = {name: value for name, value in document.items() if name not in names}
    if signature.inputs or signature.is_raw:
        return signature.enforce(data, params)
    # No signature declares the lists in the body to be tensors.
    return signature.enforce(data, params)._replace(payload=JsonPayload(data))


def _enforce(name: str, value: Any, params: Any, signature: CompiledSignature) -> Enforced:
    match name, value:
        case "dataframe_split", {"data": list()} if value.keys() <= {"columns", "data", "index"}:
            return _enforce_split(value, params, signature)
        case "dataframe_split", _:
            _refuse(name, "an object with a list under 'data', and optionally 'columns' and 'index'")
        case "dataframe_records", list():
            return _enforce_records(value, params, signature)
        case "dataframe_records", _:
            _refuse(name, "a list of records")
        case "instances", [{}, *_] if not signature.inputs:
            return signature.enforce(_pivoted(value), params)
    return signature.enforce(value, params)


def _enforce_split(value: dict[str, Any], params: Any, signature: CompiledSignature) -> Enforced:
    if not _has_columns(signature):
        return signature.enforce_table(split_table(value), params)
    # The key marks split orientation where the signature declares a column 'data'.
    return signature.enforce({"columns": None, **value}, params)


def _enforce_records(records: list[Any], params: Any, signature: CompiledSignature) -> Enforced:
    if not _has_columns(signature):
        return signature.enforce_table(records_table(records), params)
    return signature.enforce(records, params)


def _has_columns(signature: CompiledSignature) -> bool:
    return bool(signature.inputs) and isinstance(signature.inputs[0], ColumnSpec)


def _pivoted(records: list[Any]) -> dict[str, list[Any]]:
    """Make named tensors of the rows in TensorFlow Serving's format, for a model without a signature."""
    names = list(dict.fromkeys(name for record in records if isinstance(record, dict) for name in record))
    if not all(isinstance(record, dict) and len(record) == len(names) for record in records):
        _refuse("instances", "a list of objects with the same keys, or a list of lists")
    return {name: [record[name] for record in records] for name in names}


def _refuse(name: str, expected: str) -> NoReturn:
    raise InvalidBody(f"{name!r} must be {expected}")
