"""One tensor's data, from JSON (flat or nested) or from binary data, as an array of the declared shape.

Numbers of binary data are views of the body. BYTES, and values of which some are missing, are arrays of dtype object.
"""

import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.codecs.open_inference.byte_strings import MalformedElements, read_elements
from data_plane.scoring.codecs.open_inference.datatypes import Datatype
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import SignatureViolations
from data_plane.scoring.signature.rule import convert
from data_plane.scoring.signature.violations import ViolationCollector

# A shape without data is bounded by nothing else, and a model may allocate memory by it.
_LARGEST_EMPTY = 1 << 20
_MOST_DIMENSIONS = 32
_TEXTS = {str, type(None)}


def read_shape(name: str, shape: object) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise InvalidBody(f"input {name!r}: 'shape' must be a list of whole numbers from 0 on")
    if len(shape) > _MOST_DIMENSIONS:
        raise InvalidBody(f"input {name!r}: 'shape' has more than {_MOST_DIMENSIONS} dimensions")
    if 0 in shape and math.prod(filter(None, shape)) > _LARGEST_EMPTY:
        raise InvalidBody(f"input {name!r}: the shape {shape} is too large for a tensor without data")
    return tuple(shape)


def from_json(name: str, datatype: Datatype | None, shape: tuple[int, ...], data: object) -> npt.NDArray[Any]:
    flat = _flat(name, [data] if isinstance(data, str) else data)
    if len(flat) != math.prod(shape):
        raise InvalidBody(
            f"input {name!r}: the shape {list(shape)} has {math.prod(shape)} values, but 'data' has {len(flat)}"
        )
    if datatype is None:
        return as_objects(_texts(name, flat)).reshape(shape)
    return _numbers(name, datatype, flat).reshape(shape)


def from_binary(name: str, datatype: Datatype | None, shape: tuple[int, ...], part: memoryview) -> npt.NDArray[Any]:
    count = math.prod(shape)
    if datatype is None:
        return as_objects(_elements(name, part, count)).reshape(shape)
    if len(part) != count * datatype.dtype.itemsize:
        raise InvalidBody(
            f"input {name!r}: the shape {list(shape)} of {datatype.name} takes {count * datatype.dtype.itemsize} "
            f"bytes of binary data, not {len(part)}"
        )
    array = np.frombuffer(part, datatype.dtype) if count else np.empty(0, datatype.dtype)
    if datatype.name == "BOOL" and count and array.view(np.uint8).max() > 1:
        raise InvalidBody(f"input {name!r}: a BOOL is a byte of 0 or 1 in binary data")
    return array.reshape(shape)


def as_objects(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Make an array of dtype object. numpy alone would take a list among the values for one more dimension."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _flat(name: str, data: object) -> list[Any]:
    if not isinstance(data, list):
        raise InvalidBody(f"input {name!r}: 'data' must be a list, or 'parameters' have its 'binary_data_size'")
    level = data
    while level and type(level[0]) is list:
        if set(map(type, level)) != {list} or len(set(map(len, level))) > 1:
            raise InvalidBody(f"input {name!r}: 'data' has nested lists of unequal length")
        level = list(chain.from_iterable(level))
    return level


def _numbers(name: str, datatype: Datatype, flat: list[Any]) -> npt.NDArray[Any]:
    collector = ViolationCollector("input")
    converted, nulls = convert(datatype.rule, flat, name, collector, null_allowed=True)
    try:
        collector.raise_if_any()
    except SignatureViolations as violations:
        raise InvalidBody(f"the data does not fit its datatype: {violations.listing}") from None
    array = np.asarray(converted)
    if nulls is not None:
        array = array.astype(object)
        array[nulls] = None
    return array


def _texts(name: str, flat: list[Any]) -> list[Any]:
    if not set(map(type, flat)) <= _TEXTS:
        raise InvalidBody(f"input {name!r}: elements of BYTES are strings in JSON")
    try:
        "".join(filter(None, flat)).encode()
    except UnicodeEncodeError:
        raise InvalidBody(f"input {name!r}: the text has half of a surrogate pair, which is not a character") from None
    return flat


def _elements(name: str, part: memoryview, count: int) -> list[bytes]:
    try:
        return read_elements(part, count)
    except MalformedElements:
        raise InvalidBody(
            f"input {name!r}: the binary data is not {count} elements of BYTES, each after its length in four bytes"
        ) from None
