"""What the values of a column are, in one part and in all of them, and how a column becomes what they are together."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_plane.batch.writing.texts import Values, csv_texts

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
_KINDS = {arrow: kind for kind, arrow in _ARROW_TYPES.items()}
_INT64 = range(-(2**63), 2**63)


def kinds_of(values: Values) -> frozenset[str]:
    if isinstance(values, list):
        return frozenset(_kind_of_value(value) for value in values if value is not None)
    return frozenset({_KINDS[values.type]})


def stored(values: Values) -> pa.Array:
    """Values of several kinds wait as texts until it is known what the whole column is."""
    return pc.cast(csv_texts(values), pa.large_string()) if isinstance(values, list) else values


def common_type(kinds: Collection[str]) -> pa.DataType:
    """Numbers become the number type that holds them, as in numpy; whatever else differs becomes text."""
    if len(kinds) == 1:
        return _ARROW_TYPES[next(iter(kinds))]
    if kinds and all("int" in kind or "float" in kind for kind in kinds):
        return _ARROW_TYPES[np.result_type(*map(np.dtype, sorted(kinds))).name]
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


def _kind_of_value(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case float():
            return "float64"
        case int() if value in _INT64:
            return "int64"
    return TEXT
