"""Columns of text that are plainly numbers, parsed at once.

Plain is what JSON's grammar spells, too small for a double to stand for two whole numbers. Of these the signature's
rules say the same whether they look at the text or at the number. All else is left to them as text.
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
    """A pattern of texts with a line break between each two."""
    return rf"\A(?:{text}\n)*{text}\z"


_WHOLES, _POINTED_WHOLES, _NUMBERS = _all(_WHOLE), _all(rf"{_WHOLE}(?:\.0+)?"), _all(_NUMBER)
# A block with one of these is looked at in full: Arrow takes quotes and blanks away before it reads a number.
_UNUSUAL = (b'"', b" ", b"\t", b"\r", b"+")
# Bytes that are looked at together: a few arrays of this size fit in a core's cache.
_PART = 1 << 17
_ZERO, _NINE, _POINT, _EXPONENT, _LOWER = np.frombuffer(b"09.e ", np.uint8)
_PLAIN_BLOCK = rf"\A(?:(?:{_NUMBER})?(?:,|\r?\n))*(?:{_NUMBER})?\z"

ARROW_TYPES: Mapping[LogicalType, pyarrow.DataType] = {
    name: pyarrow.type_for_alias(forms.arrow_number) for name, forms in TYPES.items() if forms.arrow_number is not None
}


def is_plain(block: bytes) -> bool:
    """Whether what Arrow reads as numbers in a block of CSV is nothing but plain numbers and missing values."""
    if any(mark in block for mark in _UNUSUAL):
        return block.isascii() and _matches(pyarrow.array([block], pyarrow.binary()), _PLAIN_BLOCK)
    return all(map(_is_plain_part, _parts(block)))


def _parts(block: bytes) -> Iterator[npt.NDArray[np.uint8]]:
    """Each with the three bytes before it and the one behind it; around the block are ends of lines."""
    for start in range(0, len(block), _PART):
        before = block[start - 3 : start] if start else b"\n\n\n"
        part = block[start : start + _PART]
        behind = block[start + _PART : start + _PART + 1] or b"\n"
        yield np.frombuffer(before + part + behind, np.uint8)


def _is_plain_part(part: npt.NDArray[np.uint8]) -> bool:
    """Whether a part has only what JSON's grammar and Arrow share.

    Arrow itself refuses most of what is no number. Left are ".5", "5.", "05" and words such as "nan": each shows in the
    kinds of two or three bytes in a row. This takes a third of a regular expression's time, and a block is all bytes.
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
        # "1e05" and "1e-05" are numbers of JSON.
        leading &= ~(exponent[:-3] | exponent[1:-2])
    return not leading.any()


def limit_of(kind: LogicalType) -> float:
    """Below it, no two whole numbers are the same in a column of `kind`, nor as doubles."""
    return _LIMITS.get(kind, _EXACT_DOUBLE)


def is_exact(numbers: Any, kind: LogicalType) -> bool:
    """Whether each parsed number is the only one that its text could be, in a column of `kind`."""
    if pyarrow.types.is_integer(numbers.type) and kind in _WHOLE_KINDS:
        return True
    limit = limit_of(kind)
    extremes = pyarrow.compute.min_max(numbers)
    least, most = extremes["min"].as_py(), extremes["max"].as_py()
    return least is None or (-limit < least and most < limit)


def number_column(numbers: Any) -> TypedColumn:
    """Of an array or a chunked one. In a float column a missing value is NaN."""
    if not numbers.null_count or pyarrow.types.is_floating(numbers.type):
        return TypedColumn(_to_numpy(numbers))
    return TypedColumn(_to_numpy(numbers.fill_null(0)), _to_numpy(numbers.is_null()))


def parsed_texts(texts: pyarrow.ChunkedArray, kind: LogicalType) -> TypedColumn | None:
    """None where one is not plain, or nothing is there."""
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
        # What is rounded by this is no longer exact either.
        parsed = [numbers.cast(pyarrow.float64(), safe=False) for numbers in parsed]
    whole = pyarrow.chunked_array(parsed)
    return number_column(whole) if len(kinds) == 1 or is_exact(whole, kind) else None


def plain_kind(texts: pyarrow.Array) -> LogicalType | None:
    """The type of a column that no signature declares, where its values are plain numbers."""
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
