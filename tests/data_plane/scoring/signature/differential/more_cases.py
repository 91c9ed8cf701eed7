"""Generate requests to models of tensors, and requests with params."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.data_plane.scoring.signature.differential.cases import ANYTHING, Case, fitting

# The column type with the same values.
SAME_AS = {
    "float64": "double",
    "float32": "float",
    "int64": "long",
    "int32": "integer",
    "bool": "boolean",
    "str": "string",
}
_PARAM_TYPES = ("boolean", "integer", "long", "float", "double", "string", "datetime")


@st.composite
def tensor_cases(draw: Any) -> Case:
    names = draw(st.sampled_from([[None], ["x"], ["x", "y"]]))
    specs = [(name, draw(st.sampled_from(sorted(SAME_AS))), draw(_shapes())) for name in names]
    values = [draw(_nested(dtype, shape)) for _, dtype, shape in specs]
    entries = [_entry(*spec) for spec in specs]
    body = values[0] if names[0] is None else dict(zip(names, values, strict=True))
    return Case(entries, {}, 0, "inputs", body)


def _shapes() -> Any:
    return st.lists(st.sampled_from([-1, 1, 2]), max_size=2).map(lambda rest: [-1, *rest])


def _entry(name: str | None, dtype: str, shape: list[int]) -> dict[str, Any]:
    entry = {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": shape}}
    return entry if name is None else {**entry, "name": name}


@st.composite
def _nested(draw: Any, dtype: str, shape: list[int]) -> Any:
    leaf = fitting({"type": SAME_AS[dtype]})
    leaf = draw(st.sampled_from([leaf, leaf, leaf | ANYTHING]))
    odd = draw(st.integers(0, 9)) == 0
    sizes = [draw(st.integers(1, 3)) if size == -1 or odd else size for size in shape]
    value = leaf
    for size in reversed(sizes):
        value = st.lists(value, min_size=size, max_size=size)
    return draw(value)


def values_of_tensors(case: Case) -> dict[str, list[Any]]:
    """Group all values by column type."""
    found: dict[str, list[Any]] = {}
    for entry in case.entries:
        value = case.body[entry["name"]] if "name" in entry else case.body
        found.setdefault(SAME_AS[entry["tensor-spec"]["dtype"]], []).extend(leaves(value))
    return found


def values_of_params(case: Case) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for param in json.loads(case.params or "[]"):
        value = (case.given_params or {}).get(param["name"])
        found.setdefault(param["type"], []).extend(value if isinstance(value, list) else [value])
    return found


def leaves(value: Any) -> list[Any]:
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]


@st.composite
def param_cases(draw: Any) -> Case:
    params, given = [], {}
    for name in draw(st.lists(st.sampled_from(["k", "l", "m"]), min_size=1, unique=True)):
        kind, is_list = draw(st.sampled_from(_PARAM_TYPES)), draw(st.booleans())
        one = fitting({"type": kind})
        default = draw(st.lists(one, max_size=2) if is_list else one)
        params.append({"name": name, "type": kind, "default": default, "shape": [-1] if is_list else None})
        value = draw(st.sampled_from([one, one | ANYTHING]))
        if draw(st.booleans()):
            given[name] = draw(st.lists(value, max_size=2) if is_list else value)
    entries = [{"type": "long", "name": "a", "required": True}]
    sent = draw(st.sampled_from([given, given, {**given, "unknown": 1}, None]))
    return Case(entries, {"a": [1]}, 1, "dataframe_records", [{"a": 1}], params=json.dumps(params), given_params=sent)
