"""A model's result as output tensors, named, shaped and described as in MLServer.

An array is one output (a vector has the shape [n, 1]), and a DataFrame has one output per column. Of Python values, a
list of numbers, booleans or texts is one output, records are columns, and an object of lists has one output per key.
Any other value is an element of BYTES with JSON in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from data_plane.scoring.codecs.open_inference.datatypes import BYTES, datatype_name
from data_plane.scoring.payload.json_check import check_json
from data_plane.scoring.payload.values import ArrayResult, Column, FrameResult, JsonResult, Result
from data_plane.scoring.signature import parse_large
from data_plane.scoring.types import TYPES

FRAME, ARRAY, TEXTS = "pd", "np", "str"
_NUMBERS_AND_NULL = {int, float, type(None)}
_TEXTS_AND_NULL = {str, type(None)}


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    datatype: str
    shape: tuple[int, ...]
    values: npt.NDArray[Any] | list[Any]
    """Flat. A list with None, for BYTES and for missing values of a datatype that has no missing value of its own."""
    content_type: str

    @property
    def has_binary_form(self) -> bool:
        return isinstance(self.values, np.ndarray) or (self.datatype == BYTES and None not in self.values)


def outputs_of(result: Result, name: str) -> tuple[Output, ...]:
    """Return the outputs of a result. `name` is the name of a sole output."""
    match result:
        case ArrayResult(array=array):
            return (_array(name, array),)
        case FrameResult(columns=columns):
            # The last of several columns with one name counts, as in the records of the other protocols.
            return tuple({str(column.name): _column(column) for column in columns}.values())
        case JsonResult(text=text):
            return _of_json(text, name)


def _array(name: str, array: npt.NDArray[Any]) -> Output:
    return Output(name, datatype_name(array.dtype), _batched(array.shape), array.reshape(-1), ARRAY)


def _batched(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) > 1 else (*shape, 1)


def _column(column: Column) -> Output:
    forms, name, shape = TYPES[column.type], str(column.name), (len(column.values), 1)
    if forms.datatype != BYTES:
        array = np.asarray(column.values)
        flat = array if column.nulls is None else _with_missing(array.tolist(), column.nulls)
        return Output(name, datatype_name(array.dtype), shape, flat, forms.content_type)
    elements, nulls = column.values, column.nulls
    if column.type == "datetime":
        elements = np.datetime_as_string(np.asarray(column.values).astype("datetime64[us]")).tolist()
        nulls = np.isnat(column.values) if nulls is None else nulls | np.isnat(column.values)
    elif column.type == "json":
        elements = [_json_text(value) for value in column.values]
    return Output(name, BYTES, shape, _with_missing(elements, nulls), forms.content_type)


def _with_missing(values: npt.NDArray[Any] | Sequence[Any], nulls: npt.NDArray[np.bool_] | None) -> list[Any]:
    if nulls is None:
        return list(values)
    return [None if missing else value for value, missing in zip(values, nulls.tolist(), strict=True)]


# Python values.


def _of_json(text: bytes, name: str) -> tuple[Output, ...]:
    try:
        value = parse_large(text)
    except orjson.JSONDecodeError:
        # A number is beyond a double, or the text is not JSON.
        check_json(text)
        return (_whole_text(text, name),)
    if isinstance(value, list):
        records = _columns_of_records(value)
        if records is not None:
            return tuple(_listed_column(key, values) for key, values in records.items())
        return (_tensor(name, value) or _json_elements(name, value, "hg_jsonlist"),)
    if isinstance(value, dict) and value and all(isinstance(entry, list) for entry in value.values()):
        tensors = [_tensor(key, entry) for key, entry in value.items()]
        if None not in tensors:
            return tuple(filter(None, tensors))
    if isinstance(value, str | bool | int | float):
        return (_tensor(name, [value]) or _whole_text(text, name),)
    return (_whole_text(text, name),)


def _columns_of_records(rows: list[Any]) -> dict[str, list[Any]] | None:
    if not rows or set(map(type, rows)) != {dict} or not rows[0]:
        return None
    keys = rows[0].keys()
    if any(row.keys() != keys for row in rows):
        return None
    return {key: [row[key] for row in rows] for key in keys}


def _listed_column(name: str, values: list[Any]) -> Output:
    if {list, dict}.isdisjoint(map(type, values)):
        tensor = _tensor(name, values)
        if tensor is not None:
            return tensor
    return _json_elements(name, values, "pd_json")


def _tensor(name: str, value: list[Any]) -> Output | None:
    """Make one output of a list. None: the values have several types, or the nested lists differ in length."""
    level, shape = value, [len(value)]
    while level and set(map(type, level)) == {list}:
        if len(set(map(len, level))) > 1:
            return None
        shape.append(len(level[0]))
        level = list(chain.from_iterable(level))
    kinds = set(map(type, level))
    if kinds <= _TEXTS_AND_NULL and str in kinds:
        return Output(name, BYTES, _batched(tuple(shape)), level, TEXTS)
    numbers = _numbers(level, kinds)
    if numbers is None:
        return None
    return Output(name, datatype_name(numbers.dtype), _batched(tuple(shape)), numbers, ARRAY)


def _numbers(values: list[Any], kinds: set[type]) -> npt.NDArray[Any] | None:
    if kinds == {bool}:
        return np.array(values, dtype=bool)
    if not kinds <= _NUMBERS_AND_NULL or kinds == {type(None)}:
        return None
    try:
        return np.array(values, dtype=np.int64 if kinds == {int} else np.float64)
    except OverflowError:
        return None


def _whole_text(text: bytes, name: str) -> Output:
    return Output(name, BYTES, (1, 1), [text.decode()], "hg_json")


def _json_elements(name: str, values: list[Any], content_type: str) -> Output:
    return Output(name, BYTES, (len(values), 1), list(map(_json_text, values)), content_type)


def _json_text(value: Any) -> str:
    return orjson.dumps(value).decode()
