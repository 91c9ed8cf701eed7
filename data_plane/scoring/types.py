"""The one table of logical types: each type on the wire, in memory, in Arrow, in OpenAPI and in Open Inference.

`worker/inputs.py` has the worker's half, dtypes by the worker's own pandas. docs/how-to/add-a-logical-type.md lists the
files that a new type touches.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

LogicalType = Literal["boolean", "integer", "long", "float", "double", "datetime", "string", "binary", "json"]


@dataclass(frozen=True, slots=True)
class TypeForms:
    openapi: Mapping[str, Any]
    """Schema as in OpenAPI 3.0."""
    datatype: str
    """Open Inference's datatype."""
    content_type: str
    """MLServer's content type of a tensor with this datatype."""
    wire_dtype: np.dtype[Any] | None = None
    """Little-endian dtype of a column in a frame. None: each entry is bytes (UTF-8, raw or JSON) with offsets."""
    dtype: np.dtype[Any] | None = None
    """Dtype of a column in memory on the platform's side. None: a list of Python values."""
    missing: Literal["NaN", "NaT"] | None = None
    """The type's own value for a missing entry. None: only the null bitmap marks a missing entry."""
    placeholder: Any = None
    """The entry of a column where the null bitmap marks a missing value."""
    held_dtypes: tuple[str, ...] = ()
    """Names of the numpy dtypes that become the type without loss when no type is declared."""
    arrow_number: str | None = None
    """Alias of the Arrow type that parses the type's numbers from text, wide enough to detect a number out of range."""


TYPES: Final[Mapping[LogicalType, TypeForms]] = {
    "boolean": TypeForms(
        openapi={"type": "boolean"},
        datatype="BOOL",
        content_type="np",
        wire_dtype=np.dtype("u1"),
        dtype=np.dtype(bool),
        placeholder=False,
        held_dtypes=("bool",),
    ),
    "integer": TypeForms(
        openapi={"type": "integer", "format": "int32"},
        datatype="INT32",
        content_type="np",
        wire_dtype=np.dtype("<i4"),
        dtype=np.dtype("<i4"),
        placeholder=0,
        held_dtypes=("int8", "int16", "int32", "uint8", "uint16"),
        arrow_number="int64",
    ),
    "long": TypeForms(
        openapi={"type": "integer", "format": "int64"},
        datatype="INT64",
        content_type="np",
        wire_dtype=np.dtype("<i8"),
        dtype=np.dtype("<i8"),
        placeholder=0,
        held_dtypes=("int64", "uint32"),
        arrow_number="int64",
    ),
    "float": TypeForms(
        openapi={"type": "number", "format": "float"},
        datatype="FP32",
        content_type="np",
        wire_dtype=np.dtype("<f4"),
        dtype=np.dtype("<f4"),
        missing="NaN",
        placeholder=math.nan,
        held_dtypes=("float16", "float32"),
        arrow_number="float64",
    ),
    "double": TypeForms(
        openapi={"type": "number", "format": "double"},
        datatype="FP64",
        content_type="np",
        wire_dtype=np.dtype("<f8"),
        dtype=np.dtype("<f8"),
        missing="NaN",
        placeholder=math.nan,
        held_dtypes=("float64",),
        arrow_number="float64",
    ),
    "datetime": TypeForms(
        # The format "date-time" would demand a time zone.
        openapi={"type": "string", "description": "ISO 8601"},
        datatype="BYTES",
        content_type="datetime",
        wire_dtype=np.dtype("<i8"),
        dtype=np.dtype("datetime64[ns]"),
        missing="NaT",
        placeholder=0,
    ),
    "string": TypeForms(openapi={"type": "string"}, datatype="BYTES", content_type="str"),
    "binary": TypeForms(openapi={"type": "string", "format": "byte"}, datatype="BYTES", content_type="base64"),
    "json": TypeForms(openapi={}, datatype="BYTES", content_type="pd_json"),
}

# Look-ups for the request path, prepared once.

WIRE_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    name: forms.wire_dtype for name, forms in TYPES.items() if forms.wire_dtype is not None
}
DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    name: forms.dtype for name, forms in TYPES.items() if forms.dtype is not None
}
TYPES_BY_DTYPE: Final[Mapping[str, LogicalType]] = {
    held: name for name, forms in TYPES.items() for held in forms.held_dtypes
}
NUMBERS_AND_BOOLEANS: Final = frozenset(TYPES_BY_DTYPE.values())
WITH_MISSING_VALUE: Final = frozenset(name for name, forms in TYPES.items() if forms.missing is not None)
"""Types with a column dtype that survives a missing entry."""
WITH_NAN: Final = frozenset(name for name, forms in TYPES.items() if forms.missing == "NaN")
