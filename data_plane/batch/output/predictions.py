"""Turns any kind of a model's result into columns with an entry for each row.

Azure's file has a single prediction per row: several values become the JSON text of the row. Later formats give each
value a column, named by the model's own table, else by the signature's outputs if the number matches, else
`prediction` or `0`, `1`, …
"""

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from data_plane.batch.output.column_text import Values, array_texts, from_numpy, record_texts, utf8
from data_plane.scoring.payload.result_json import result_to_json
from data_plane.scoring.payload.values import ArrayResult, Column, FrameResult, JsonResult, Result

PREDICTION = "prediction"
Columns = list[tuple[str, Values]]
Predictions = npt.NDArray[Any] | tuple[Column, ...] | list[Any] | dict[str, list[Any]]
"""One entry per row: an array, a DataFrame, JSON values, or lists by the name of their column."""

_BLOCK_ROWS = 1 << 16
_BLOCK_VALUES = 1 << 19
# orjson reads an integer beyond 64 bits as a double.
_LONG_INTEGER = re.compile(rb"\d{19}")


class WrongResult(Exception):
    """The model's result has no entry for each row, so that entries cannot be matched to rows."""

    def __init__(self, file: str, first_row: int, rows: int, result: str) -> None:
        super().__init__(
            f"the model was given {_counted(rows, 'row')} of {file!r}, from row {first_row} on, and answered with "
            f"{result}; predict must return one entry per row: an array, a list or a DataFrame of length {rows}"
        )


def as_single(result: Result) -> Result:
    """Return the result for a file with a single input, as an image: the whole result is the prediction."""
    match result:
        case ArrayResult(array=array) if array.ndim == 0 or len(array) != 1:
            return ArrayResult(array[np.newaxis])
        case FrameResult(rows=rows) if rows != 1:
            return JsonResult(b"[" + result_to_json(result) + b"]")
        case JsonResult(text=text) if not (isinstance(value := _load(text), list) and len(value) == 1):
            return JsonResult(b"[" + text + b"]")
    return result


def open_result(result: Result, rows: int) -> Predictions | None:
    """Return None for a result without an entry for each row."""
    match result:
        case ArrayResult(array=array) if array.ndim and len(array) == rows:
            return array
        case FrameResult(columns=columns) if result.rows == rows:
            return columns
        case JsonResult(text=text):
            value = _load(text)
            if _is_list(value, rows) or _is_table(value, rows):
                predictions: list[Any] | dict[str, list[Any]] = value
                return predictions
    return None


def blocks(predictions: Predictions, rows: int) -> Iterator[tuple[slice, Predictions]]:
    """Yield slices of rows whose texts take a few megabytes, with any number of values per row."""
    step = max(1, min(_BLOCK_ROWS, _BLOCK_VALUES // max(1, _values_per_row(predictions))))
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        yield part, _cut(predictions, part)


def _values_per_row(predictions: Predictions) -> int:
    match predictions:
        case list():
            return 1
        case tuple() | dict():
            return len(predictions)
    return math.prod(predictions.shape[1:])


def _cut(predictions: Predictions, part: slice) -> Predictions:
    match predictions:
        case tuple():
            return tuple(column.cut(part) for column in predictions)
        case dict():
            return {name: entries[part] for name, entries in predictions.items()}
    return predictions[part]


def single_column(predictions: Predictions, rows: int) -> Values:
    """Return one prediction per row, as in Azure's file."""
    match predictions:
        case list():
            return _narrowed(predictions)
        case dict():
            return _of_table([(name, _narrowed(entries)) for name, entries in predictions.items()], rows)
        case tuple():
            return _of_table([(str(column.name), _of_column(column)) for column in predictions], rows)
    return _of_array(predictions)


def named_columns(predictions: Predictions, output_names: Sequence[str]) -> Columns:
    """Return one column per value."""
    match predictions:
        case list():
            return _columns_of_list(predictions, _only(output_names))
        case dict():
            return [(name, _narrowed(entries)) for name, entries in predictions.items()]
        case tuple():
            names = _names_of_frame(predictions, output_names)
            return [(name, _of_column(column)) for name, column in zip(names, predictions, strict=True)]
    return _columns_of_array(predictions, output_names)


def described(result: Result) -> str:
    match result:
        case ArrayResult(array=array):
            return f"an array of shape {array.shape}"
        case FrameResult(rows=rows):
            return f"a DataFrame of {_counted(rows, 'row')}"
        case JsonResult(text=text):
            return _described_json(_load(text))


def _described_json(value: object) -> str:
    match value:
        case list():
            return f"a list of length {len(value)}"
        case dict():
            return "a dict"
    return "one value"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _of_array(array: npt.NDArray[Any]) -> Values:
    """An array of a single column is a column of plain values."""
    if array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1):
        return from_numpy(array.reshape(-1))
    return array_texts(array)


def _columns_of_array(array: npt.NDArray[Any], output_names: Sequence[str]) -> Columns:
    if array.ndim == 2 and array.shape[1] != 1:
        width = array.shape[1]
        names = output_names if len(output_names) == width else [str(place) for place in range(width)]
        return [(name, from_numpy(np.ascontiguousarray(array[:, at]))) for at, name in enumerate(names)]
    return [(_only(output_names), _of_array(array))]


def _of_table(columns: Columns, rows: int) -> Values:
    if not columns:
        return [{}] * rows
    return columns[0][1] if len(columns) == 1 else record_texts(columns)


def _of_column(column: Column) -> Values:
    values = column.values
    if column.type == "string":
        return _texts([None if value is None else str(value) for value in values], column.nulls)
    if column.type == "binary":
        return pa.array(list(values), pa.large_binary(), mask=column.nulls)
    if column.type == "json":
        missing = itertools.repeat(False) if column.nulls is None else column.nulls.tolist()
        return [None if absent else value for value, absent in zip(values, missing, strict=False)]
    return pa.array(np.asarray(values), mask=column.nulls)


def _names_of_frame(columns: Sequence[Column], output_names: Sequence[str]) -> list[str]:
    """Name the columns. A DataFrame made from an array has numbers for names: the signature's names come first."""
    names = [str(column.name) for column in columns]
    numbered = names == [str(place) for place in range(len(columns))]
    return list(output_names) if numbered and len(output_names) == len(columns) else names


def _columns_of_list(entries: list[Any], name: str) -> Columns:
    """Make columns of a list of records; an entry that is no record is a prediction."""
    records = [entry if isinstance(entry, dict) else {} if entry is None else {name: entry} for entry in entries]
    names = list(dict.fromkeys(itertools.chain.from_iterable(records)))
    return [(name, _narrowed([record.get(name) for record in records])) for name in names]


def _only(output_names: Sequence[str]) -> str:
    return output_names[0] if len(output_names) == 1 else PREDICTION


def _narrowed(values: list[Any]) -> Values:
    """Make an array of values of equal type: faster to write, with the same text."""
    match set(map(type, values)) - {type(None)}:
        case kinds if kinds == {float}:
            return pa.array(values, pa.float64())
        case kinds if kinds == {bool}:
            return pa.array(values, pa.bool_())
        case kinds if kinds == {int}:
            return _integers(values)
        case kinds if kinds == {str}:
            return _texts(values, None)
    return values


def _integers(values: list[int | None]) -> Values:
    try:
        return pa.array(values, pa.int64())
    except OverflowError:
        return values


def _texts(values: list[str | None], nulls: npt.NDArray[np.bool_] | None) -> pa.Array:
    try:
        return pa.array(values, pa.large_string(), mask=nulls)
    except UnicodeEncodeError:
        whole = [None if value is None else utf8(value).decode() for value in values]
        return pa.array(whole, pa.large_string(), mask=nulls)


def _is_list(value: object, rows: int) -> bool:
    return isinstance(value, list) and len(value) == rows


def _is_table(value: object, rows: int) -> bool:
    """Tell whether the value is a dict of equally long columns, as some models return."""
    return isinstance(value, Mapping) and bool(value) and all(_is_list(entries, rows) for entries in value.values())


def _load(text: bytes) -> Any:
    if not _LONG_INTEGER.search(text):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            # Python reads texts that orjson rejects, such as half a surrogate pair.
            pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
