"""Rules for booleans and numbers.

Whole-number types accept a number only if the conversion is exact. Float types round to the nearest value, but
integers must convert exactly, and no number may overflow. Text is a number by JSON's grammar. A boolean is never a
number.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.signature.number_texts import parse_number, parse_numbers, parse_whole_number
from data_plane.scoring.signature.rule import NONE_TYPE, ColumnValues, TypeMismatch
from data_plane.scoring.signature.violations import describe
from data_plane.scoring.types import LogicalType

_BOOL = {bool}
_STR = {str}
_INT = {int}
_FLOAT = {float}
_NUMBERS = {int, float}
_NUMBERS_AND_NULL = {int, float, NONE_TYPE}

# Beyond 2**53 several integers round to one double, so a whole double does not prove which integer was sent.
_EXACT_DOUBLE = 2**53


@dataclass(frozen=True, slots=True)
class BooleanRule:
    logical_type: LogicalType = "boolean"
    type_name: str = "boolean"
    expected: str = "boolean (true or false)"
    accepts_null: bool = False

    def convert_all(self, values: Sequence[Any], kinds: set[type]) -> ColumnValues | None:
        return np.array(values, dtype=bool) if kinds == _BOOL else None

    def convert_array(self, array: npt.NDArray[Any]) -> ColumnValues | None:
        return array if array.dtype == bool else None

    def convert_one(self, value: Any) -> bool:
        if isinstance(value, bool):
            return value
        truth = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None
        if truth is None:
            raise TypeMismatch
        return truth

    def to_column(self, values: list[Any]) -> ColumnValues:
        return np.array(values, dtype=bool)


@dataclass(frozen=True, slots=True)
class WholeNumberRule:
    dtype: np.dtype[Any]
    type_name: str
    logical_type: LogicalType
    lowest: int
    highest: int
    accepts_null: bool = False

    @property
    def expected(self) -> str:
        return f"{self.type_name} (a whole number from {self.lowest} to {self.highest})"

    def convert_all(self, values: Sequence[Any], kinds: set[type]) -> ColumnValues | None:
        if kinds == _INT:
            return self._from_integers(values)
        if kinds <= _NUMBERS:
            return self._from_whole_floats(values)
        if kinds == _STR:
            spelled = parse_numbers(values)
            # Parsing may have rounded a fraction to a whole double.
            return self._from_integers(spelled) if spelled and set(map(type, spelled)) == _INT else None
        return None

    def convert_array(self, array: npt.NDArray[Any]) -> ColumnValues | None:
        match array.dtype.kind:
            case "i" | "u" if self._all_within(array):
                return array.astype(self.dtype, copy=False)
            case "f":
                # Half precision cannot represent the limits compared with below.
                return self._whole(array.astype(np.float64, copy=False))
            case _:
                return None

    def _from_integers(self, values: Sequence[Any]) -> ColumnValues | None:
        try:
            array = np.array(values, dtype=np.int64)
        except OverflowError:
            return None
        if self.dtype == np.int64:
            return array
        return array.astype(self.dtype) if self._all_within(array) else None

    def _from_whole_floats(self, values: Sequence[Any]) -> ColumnValues | None:
        try:
            return self._whole(np.array(values, dtype=np.float64))
        except OverflowError:
            return None

    def _whole(self, array: npt.NDArray[Any]) -> ColumnValues | None:
        exact = (np.abs(array) < _EXACT_DOUBLE).all() and (array == np.trunc(array)).all()
        return array.astype(self.dtype) if exact and self._all_within(array) else None

    def _all_within(self, array: Any) -> bool:
        return bool(array.size == 0 or (array.min() >= self.lowest and array.max() <= self.highest))

    def convert_one(self, value: Any) -> int:
        whole = parse_whole_number(value)
        if whole is None or not self.lowest <= whole <= self.highest:
            raise TypeMismatch
        return whole

    def to_column(self, values: list[Any]) -> ColumnValues:
        return np.array(values, dtype=self.dtype)


@dataclass(frozen=True, slots=True)
class FloatRule:
    """Null becomes NaN."""

    dtype: np.dtype[Any]
    type_name: str
    logical_type: LogicalType
    largest_exact: int
    """The largest n for which every integer from -n to n converts exactly."""
    accepts_null: bool = True

    @property
    def expected(self) -> str:
        return self.type_name

    def convert_all(self, values: Sequence[Any], kinds: set[type]) -> ColumnValues | None:
        if kinds == _FLOAT:
            return self._narrow(np.array(values, dtype=np.float64))
        if kinds == _STR:
            return self._from_texts(values)
        if not kinds <= _NUMBERS_AND_NULL:
            return None
        try:
            array = np.array(values, dtype=np.float64)
        except OverflowError:
            return None
        # The integer after `largest_exact` rounds to `largest_exact`, hence >=.
        if int in kinds and (np.abs(array) >= self.largest_exact).any():
            return None
        return self._narrow(array)

    def _from_texts(self, texts: Sequence[str]) -> ColumnValues | None:
        spelled = parse_numbers(texts)
        if spelled is None or self.convert_all(spelled, set(map(type, spelled))) is None:
            return None
        # Parse again as doubles: the integer of "-0" would lose the sign.
        return self._narrow(np.array(list(map(float, texts)), dtype=np.float64))

    def convert_array(self, array: npt.NDArray[Any]) -> ColumnValues | None:
        if array.dtype.kind == "f":
            return self._narrow(array)
        if array.dtype.kind not in "iu" or (array.size and max(array.max(), -int(array.min())) > self.largest_exact):
            return None
        return array.astype(self.dtype)

    def _narrow(self, array: Any) -> ColumnValues | None:
        """Convert floats. Infinities stay infinite, and finite numbers stay finite."""
        if array.dtype.itemsize <= self.dtype.itemsize:
            return array.astype(self.dtype, copy=False)  # type: ignore[no-any-return]
        with np.errstate(over="ignore"):
            narrow = array.astype(self.dtype)
        return narrow if np.array_equal(np.isinf(narrow), np.isinf(array)) else None

    def convert_one(self, value: Any) -> float:
        number = parse_number(value) if isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise TypeMismatch
        nearest = self._nearest(value)
        if isinstance(number, int) and int(nearest) != number:
            raise TypeMismatch(got=f"{describe(value)}, which {self.type_name} does not hold exactly")
        return nearest

    def _nearest(self, value: float | str) -> float:
        try:
            with np.errstate(over="ignore"):
                nearest = float(self.dtype.type(float(value)))
        except OverflowError:
            nearest = math.inf
        if math.isinf(nearest) and nearest != value:
            raise TypeMismatch(got=f"{describe(value)}, which is too large for {self.type_name}")
        return nearest

    def to_column(self, values: list[Any]) -> ColumnValues:
        return np.array(values, dtype=self.dtype)


def whole_number(dtype: str, logical_type: LogicalType, type_name: str) -> WholeNumberRule:
    limits = np.iinfo(dtype)
    return WholeNumberRule(np.dtype(dtype), type_name, logical_type, int(limits.min), int(limits.max))


def real_number(dtype: str, logical_type: LogicalType, type_name: str) -> FloatRule:
    precision = np.finfo(dtype).nmant + 1
    return FloatRule(np.dtype(dtype), type_name, logical_type, 2**precision)


BOOLEAN = BooleanRule()
INTEGER = whole_number("int32", "integer", "integer")
LONG = whole_number("int64", "long", "long")
FLOAT = real_number("float32", "float", "float")
DOUBLE = real_number("float64", "double", "double")
