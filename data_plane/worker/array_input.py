"""Reads a SCORE frame as the array that `numpy.asarray` makes of the request's DataFrame, without pandas.

A request has an array if its columns are the model's columns in the model's order, and all are numbers. The array
equals the DataFrame's in values, dtype, memory order and writability; `is_array_of` proves it for a request.
"""

import sys
from typing import Any, Dict, List, Optional, Tuple

from .inputs import DTYPES, is_one_block, read_buffer, read_matrix

NUMBERS = frozenset({"integer", "long", "float", "double"})

# Larger integers may have no equal double.
_MAX_EXACT = 2**53
# Exactly these: a payload with anything more, an index for example, has a meaning that an array does not carry.
_BLOCK_KEYS = {"kind", "rows", "names", "type", "data"}
_FRAME_KEYS = {"kind", "rows", "columns"}


class ArrayReader:
    def __init__(self, columns: List[Tuple[str, str]], *, as_doubles: bool) -> None:
        """`columns` are the names and logical types of the signature.

        `as_doubles`: integer columns become doubles. Boosters convert integers of an array to floats.
        """
        self._names = [name for name, _ in columns]
        self._types = [logical_type for _, logical_type in columns]
        self._as_doubles = as_doubles
        self._is_writable = {is_one_block: _is_writable(is_one_block) for is_one_block in (False, True)}

    def read(self, payload: Dict[str, Any], body: bytearray) -> Optional[Any]:
        """Return an array of shape (rows, columns) that shares no memory with `body`; None: only a DataFrame fits."""
        try:
            if payload.keys() == _BLOCK_KEYS:
                return self._block(payload, body)
            return self._frame(payload, body) if payload.keys() == _FRAME_KEYS else None
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            # `read_input` names the error.
            return None

    def is_array_of(self, frame: Any, array: Any) -> bool:
        numpy = sys.modules["numpy"]
        values = numpy.asarray(frame)
        if self._as_doubles and values.dtype.kind == "i":
            values = values.astype("<f8")
        if _layout(values) != _layout(array):
            return False
        bits = "<u{}".format(array.dtype.itemsize)
        return bool(numpy.array_equal(values.view(bits), array.view(bits)))

    def _block(self, payload: Dict[str, Any], body: bytearray) -> Optional[Any]:
        if payload["names"] != self._names or {payload["type"]} != set(self._types) or not payload["rows"]:
            return None
        matrix = read_buffer(body, payload["data"], DTYPES[payload["type"]])
        return self._array_of_block(matrix.reshape(len(self._names), payload["rows"]))

    def _frame(self, payload: Dict[str, Any], body: bytearray) -> Optional[Any]:
        columns, rows = payload["columns"], payload["rows"]
        if not rows or [column["name"] for column in columns] != self._names:
            return None
        if [column["type"] for column in columns] != self._types:
            return None
        if is_one_block(columns, rows):
            return self._array_of_block(read_matrix(columns, rows, body))
        return self._array_of_columns(columns, rows, body)

    def _array_of_block(self, matrix: Any) -> Optional[Any]:
        if self._as_doubles and matrix.dtype.kind == "i":
            return matrix.astype("<f8").T if _is_exact(matrix) else None
        return self._finished(matrix.copy(), is_one_block=True)

    def _array_of_columns(self, columns: List[Dict[str, Any]], rows: int, body: bytearray) -> Optional[Any]:
        numpy = sys.modules["numpy"]
        dtype = numpy.result_type(*[DTYPES[each] for each in set(self._types)])
        if self._as_doubles and dtype.kind == "i":
            dtype = numpy.dtype("<f8")
        matrix = numpy.empty((len(columns), rows), dtype)
        for row, column in zip(matrix, columns):
            values = read_buffer(body, column["data"], DTYPES[column["type"]])
            has_nulls = bool(column.get("nulls"))
            if values.dtype.kind == "i" and (has_nulls or (dtype.kind == "f" and not _is_exact(values))):
                return None
            row[:] = values
            if has_nulls:
                row[read_buffer(body, column["nulls"], "|b1")] = float("nan")
        return self._finished(matrix, is_one_block=len(columns) == 1)

    def _finished(self, matrix: Any, *, is_one_block: bool) -> Any:
        array = matrix.T
        array.flags.writeable = self._is_writable[is_one_block]
        return array


def _is_exact(integers: Any) -> bool:
    """Return whether each integer has an equal double."""
    return integers.itemsize < 8 or bool(integers.min() >= -_MAX_EXACT and integers.max() <= _MAX_EXACT)


def _is_writable(is_one_block: bool) -> bool:
    """Return whether this pandas lets a model write into the array of a DataFrame: of one block, or of several."""
    import numpy
    import pandas

    values = numpy.zeros((2, 2)) if is_one_block else {0: numpy.zeros(2), 1: numpy.zeros(2)}
    return bool(numpy.asarray(pandas.DataFrame(values, copy=False)).flags.writeable)


def _layout(array: Any) -> Any:
    flags = array.flags
    return array.dtype, array.shape, flags.c_contiguous, flags.f_contiguous, flags.writeable
