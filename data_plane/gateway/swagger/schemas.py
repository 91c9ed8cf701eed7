"""The signature's types as schemas of OpenAPI 3.0; `dialect.py` translates them.

The schemas describe the recommended input, and leave out other accepted input, such as a number as text.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from data_plane.scoring.signature import ColumnSpec, ParamSpec, TensorSpec
from data_plane.scoring.signature.nested import ArrayRule, MapRule, Member, ObjectRule
from data_plane.scoring.signature.rule import Rule
from data_plane.scoring.types import TYPES

Schema = dict[str, Any]

ANYTHING: Schema = {}


def list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def object_of(properties: Mapping[str, Schema], required: Sequence[str] = ()) -> Schema:
    # Not every version allows an empty `required`.
    return {"type": "object", "properties": dict(properties), **({"required": [*required]} if required else {})}


def any_of(*alternatives: Schema) -> Schema:
    """A version without alternatives gets the first one."""
    return {"anyOf": [*alternatives]}


def of_column(spec: ColumnSpec) -> Schema:
    return _of_rule(spec.rule, null_allowed=not spec.required)


def of_record(columns: Sequence[ColumnSpec]) -> Schema:
    required = [str(column.name) for column in columns if column.required]
    return object_of({str(column.name): of_column(column) for column in columns}, required)


def of_tensor(spec: TensorSpec) -> Schema:
    schema = _of_rule(spec.rule)
    for size in reversed(spec.shape):
        exactly = {} if size < 0 else {"minItems": size, "maxItems": size}
        schema = {**list_of(schema), **exactly}
    return schema


def of_params(params: Sequence[ParamSpec]) -> Schema:
    return object_of({param.name: _of_param(param) for param in params})


def _of_param(param: ParamSpec) -> Schema:
    schema = list_of(_of_rule(param.rule)) if param.is_list else _of_rule(param.rule)
    default = {"default": param.default} if _is_shown(param.default) else {}
    return {**_nullable(schema), **default}


def _is_shown(default: Any) -> bool:
    """Whether the default is worth showing: not null, and valid JSON, which NaN is not."""
    try:
        return json.dumps(default, allow_nan=False) != "null"
    except ValueError:
        return False


def _of_rule(rule: Rule, *, null_allowed: bool = False) -> Schema:
    schema = _of_value(rule)
    return _nullable(schema) if null_allowed or rule.accepts_null else schema


def _of_value(rule: Rule) -> Schema:
    match rule:
        case ArrayRule(items=items):
            return list_of(_of_member(items))
        case MapRule(values=values):
            return {"type": "object", "additionalProperties": _of_member(values)}
        case ObjectRule(properties=properties):
            declared = properties or {}
            required = [name for name, each in declared.items() if each.required]
            members = {name: _of_member(each.member) for name, each in declared.items()}
            return {**object_of(members, required), "additionalProperties": False}
        case _:
            return dict(TYPES[rule.logical_type].openapi)


def _of_member(member: Member) -> Schema:
    return _of_rule(member.rule, null_allowed=member.null_allowed)


def _nullable(schema: Schema) -> Schema:
    return {**schema, "nullable": True} if "type" in schema else schema
