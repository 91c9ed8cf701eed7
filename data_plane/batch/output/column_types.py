"""Types of a column's values in one section, their common type in the output, and the cast to the common type."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_plane.batch.output.column_text import Values, csv_texts

TEXT = "text"
_ARROW_TYPES: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    **{f"{sign}int{bits}": getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": pa.float32(),
    "float64": pa.float64(),
    "datetime": pa.timestamp("ns"),
    "binary": pa.large_binary(),
    TEXT: pa.large_string(),
}
_NAMES = {arrow: name for name, arrow in _ARROW_TYPES.items()}
_INT64 = range(-(2**63), 2**63)


def types_of(values: Values) -> frozenset[str]:
    if isinstance(values, list):
        return frozenset(_type_of_value(value) for value in values if value is not None)
    return frozenset({_NAMES[values.type]})


def spooled(values: Values) -> pa.Array:
    """Return the values as they are kept in a part: mixed values as texts, until the whole column's type is known."""
    return pc.cast(csv_texts(values), pa.large_string()) if isinstance(values, list) else values


def common_type(types: Collection[str]) -> pa.DataType:
    """Return the type for mixed values: numpy's common type for numbers, text for everything that differs otherwise."""
    if len(types) == 1:
        return _ARROW_TYPES[next(iter(types))]
    if types and all("int" in name or "float" in name for name in types):
        return _ARROW_TYPES[np.result_type(*map(np.dtype, sorted(types))).name]
    return pa.large_string()


def as_type(values: pa.Array, wanted: pa.DataType) -> pa.Array:
    if values.type == wanted:
        return values
    if wanted == pa.large_string():
        return pc.cast(csv_texts(values), wanted)
    if wanted == pa.bool_():
        return pc.equal(values, "True")
    # Integers beyond 2**53 become the nearest double, as in numpy.
    return pc.cast(values, wanted, safe=False)


def _type_of_value(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case float():
            return "float64"
        case int() if value in _INT64:
            return "int64"
    return TEXT
