"""Parses columns of plain numbers at once.

A plain number follows JSON's grammar and is small enough for a double to be exact. The signature's rules give the same
answer for the text of a plain number and for the number. All other values stay text for the rules.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pyarrow.compute

from data_plane.scoring.signature.table import TypedColumn
from data_plane.scoring.types import TYPES, LogicalType

_WHOLE = r"-?(?:0|[1-9][0-9]*)"
_NUMBER = rf"{_WHOLE}(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_EXACT_DOUBLE = 2.0**53
_LIMITS: Mapping[LogicalType, float] = {"float": 2.0**24}
_WHOLE_KINDS = ("integer", "long")


def _all(text: str) -> str:
    """Return a pattern for lines that all match `text`."""
    return rf"\A(?:{text}\n)*{text}\z"


_WHOLES, _POINTED_WHOLES, _NUMBERS = _all(_WHOLE), _all(rf"{_WHOLE}(?:\.0+)?"), _all(_NUMBER)
# A block with any of the marks is matched in full: Arrow strips quotes and blanks before reading a number.
_UNUSUAL = (b'"', b" ", b"\t", b"\r", b"+")
# A few arrays of this many bytes fit in a core's cache.
_PART = 1 << 17
_ZERO, _NINE, _POINT, _EXPONENT, _LOWER = np.frombuffer(b"09.e ", np.uint8)
_PLAIN_BLOCK = rf"\A(?:(?:{_NUMBER})?(?:,|\r?\n))*(?:{_NUMBER})?\z"

ARROW_TYPES: Mapping[LogicalType, pyarrow.DataType] = {
    name: pyarrow.type_for_alias(forms.arrow_number) for name, forms in TYPES.items() if forms.arrow_number is not None
}


def is_plain(block: bytes) -> bool:
    """Return whether all values that Arrow reads as numbers in a block of CSV are plain or missing."""
    if any(mark in block for mark in _UNUSUAL):
        return block.isascii() and _matches(pyarrow.array([block], pyarrow.binary()), _PLAIN_BLOCK)
    return all(map(_is_plain_part, _parts(block)))


def _parts(block: bytes) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield parts, each with the three bytes before it and the byte after it; line ends surround the block."""
    for start in range(0, len(block), _PART):
        before = block[start - 3 : start] if start else b"\n\n\n"
        part = block[start : start + _PART]
        behind = block[start + _PART : start + _PART + 1] or b"\n"
        yield np.frombuffer(before + part + behind, np.uint8)


def _is_plain_part(part: npt.NDArray[np.uint8]) -> bool:
    """Return whether a part has only numbers of JSON's grammar.

    Arrow rejects most texts that are no numbers, but accepts ".5", "5.", "05" and words like "nan": two or three
    adjacent bytes reveal each case. The check takes a third of a regular expression's time.
    """
    digit = (part - _ZERO) < 10
    point = part == _POINT
    if (point[1:] > digit[:-1]).any() or (point[:-1] > digit[1:]).any():
        return False
    leading = (part[2:-1] == _ZERO) & digit[3:] & ~(digit | point)[1:-2]
    letter = part > _NINE
    if letter.any():
        exponent = (part | _LOWER) == _EXPONENT
        if (letter > exponent).any():
            return False
        # JSON allows leading zeros in an exponent: "1e05", "1e-05".
        leading &= ~(exponent[:-3] | exponent[1:-2])
    return not leading.any()


def limit_of(kind: LogicalType) -> float:
    """Return the bound below which whole numbers are exact in a column of `kind`, and as doubles."""
    return _LIMITS.get(kind, _EXACT_DOUBLE)


def is_exact(numbers: Any, kind: LogicalType) -> bool:
    """Return whether every parsed number is exact in a column of `kind`."""
    if pyarrow.types.is_integer(numbers.type) and kind in _WHOLE_KINDS:
        return True
    limit = limit_of(kind)
    extremes = pyarrow.compute.min_max(numbers)
    least, most = extremes["min"].as_py(), extremes["max"].as_py()
    return least is None or (-limit < least and most < limit)


def number_column(numbers: Any) -> TypedColumn:
    """Make a column of an array or a chunked array. In a float column a missing value is NaN."""
    if not numbers.null_count or pyarrow.types.is_floating(numbers.type):
        return TypedColumn(_to_numpy(numbers))
    return TypedColumn(_to_numpy(numbers.fill_null(0)), _to_numpy(numbers.is_null()))


def parsed_texts(texts: pyarrow.ChunkedArray, kind: LogicalType) -> TypedColumn | None:
    """Parse a column of texts; None if a value is not a plain number, or all values are missing."""
    if kind not in ARROW_TYPES or texts.null_count == len(texts):
        return None
    parsed = []
    for chunk in texts.chunks:
        numbers = _parsed(chunk, kind)
        if numbers is None:
            return None
        parsed.append(numbers)
    kinds = {numbers.type for numbers in parsed}
    if len(kinds) > 1:
        # A number that this cast rounds also fails `is_exact`.
        parsed = [numbers.cast(pyarrow.float64(), safe=False) for numbers in parsed]
    whole = pyarrow.chunked_array(parsed)
    return number_column(whole) if len(kinds) == 1 or is_exact(whole, kind) else None


def plain_kind(texts: pyarrow.Array) -> LogicalType | None:
    """Return the type of a column of plain numbers without a declared type; None for other values."""
    for kind in ("long", "double"):
        numbers = None if texts.null_count == len(texts) else _parsed(texts, kind)
        if numbers is not None:
            return "long" if pyarrow.types.is_integer(numbers.type) else "double"
    return None


def _parsed(texts: pyarrow.Array, kind: LogicalType) -> pyarrow.Array | None:
    if texts.null_count == len(texts):
        return texts.cast(ARROW_TYPES[kind])
    lines = _in_lines(texts)
    if kind in _WHOLE_KINDS and _matches(lines, _WHOLES):
        wanted = pyarrow.int64()
    elif _matches(lines, _POINTED_WHOLES if kind in _WHOLE_KINDS else _NUMBERS):
        wanted = pyarrow.float64()
    else:
        return None
    try:
        numbers = texts.cast(wanted)
    except pyarrow.ArrowInvalid:
        return None
    return numbers if is_exact(numbers, kind) else None


def _in_lines(texts: pyarrow.Array) -> pyarrow.Array:
    present = texts.drop_null()
    together = pyarrow.ListArray.from_arrays(pyarrow.array([0, len(present)], pyarrow.int32()), present)
    return pyarrow.compute.binary_join(together, "\n")


def _matches(texts: pyarrow.Array, pattern: str) -> bool:
    return bool(pyarrow.compute.match_substring_regex(texts, pattern)[0].as_py())


def _to_numpy(column: Any) -> npt.NDArray[Any]:
    if isinstance(column, pyarrow.ChunkedArray):
        return np.asarray(column.to_numpy())
    return np.asarray(column.to_numpy(zero_copy_only=False))
