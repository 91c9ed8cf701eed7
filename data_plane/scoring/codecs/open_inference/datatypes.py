"""The protocol's datatypes, with dtypes and rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature.numbers import BOOLEAN, real_number, whole_number
from data_plane.scoring.signature.rule import Rule

BYTES = "BYTES"


@dataclass(frozen=True, slots=True)
class Datatype:
    name: str
    dtype: np.dtype[Any]
    """Of binary data."""
    rule: Rule
    """For values in JSON."""


def _whole(name: str, dtype: str) -> Datatype:
    return Datatype(name, np.dtype(dtype).newbyteorder("<"), whole_number(dtype, "long", name))


def _real(name: str, dtype: str) -> Datatype:
    return Datatype(name, np.dtype(dtype).newbyteorder("<"), real_number(dtype, "double", name))


FIXED_WIDTH: Mapping[str, Datatype] = {
    each.name: each
    for each in (
        Datatype("BOOL", np.dtype(bool), BOOLEAN),
        *(_whole(name, name.lower()) for name in ("UINT8", "UINT16", "UINT32", "UINT64")),
        *(_whole(name, name.lower()) for name in ("INT8", "INT16", "INT32", "INT64")),
        *(_real(f"FP{bits}", f"float{bits}") for bits in (16, 32, 64)),
    )
}
_NAMES = {each.dtype.name: each.name for each in FIXED_WIDTH.values()}


def datatype_name(dtype: np.dtype[Any]) -> str:
    return _NAMES.get(dtype.name, BYTES)


def fixed_width(name: object, tensor: str) -> Datatype | None:
    """Return the datatype, None for BYTES. Raises InvalidBody for an unknown datatype."""
    if name == BYTES:
        return None
    datatype = FIXED_WIDTH.get(name) if isinstance(name, str) else None
    if datatype is not None:
        return datatype
    if name == "BF16":
        raise InvalidBody(f"input {tensor!r}: BF16 is not supported; send FP32 instead")
    raise InvalidBody(f"input {tensor!r}: 'datatype' must be one of {', '.join([*FIXED_WIDTH, BYTES])}")
