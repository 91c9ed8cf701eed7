"""Rules for types with a text form in JSON: strings, base64 binary and ISO 8601 datetimes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.signature.base64_text import NotBase64, decode_base64
from data_plane.scoring.signature.rule import ColumnValues, TypeMismatch
from data_plane.scoring.signature.violations import describe
from data_plane.scoring.types import LogicalType

_STR = {str}
_BYTES = {bytes}


@dataclass(frozen=True, slots=True)
class StringRule:
    logical_type: LogicalType = "string"
    type_name: str = "string"
    expected: str = "string"
    accepts_null: bool = False

    def convert_all(self, values: Sequence[Any], kinds: set[type]) -> ColumnValues | None:
        return list(values) if kinds == _STR and is_unicode("".join(values)) else None

    def convert_array(self, array: npt.NDArray[Any]) -> ColumnValues | None:
        return None

    def convert_one(self, value: Any) -> str:
        if not isinstance(value, str) or not is_unicode(value):
            raise TypeMismatch
        return value

    def to_column(self, values: list[Any]) -> ColumnValues:
        return values


def is_unicode(text: str) -> bool:
    """Return whether the text encodes as UTF-8. JSON can contain half a surrogate pair, an invalid character."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class BinaryRule:
    """Parquet and Open Inference send bytes. JSON and CSV send base64 text."""

    logical_type: LogicalType = "binary"
    type_name: str = "binary"
    expected: str = "binary as base64 text"
    accepts_null: bool = False

    def convert_all(self, values: Sequence[Any], kinds: set[type]) -> ColumnValues | None:
        return list(values) if kinds == _BYTES else None

    def convert_array(self, array: npt.NDArray[Any]) -> ColumnValues | None:
        return None

    def convert_one(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        if not isinstance(value, str):
            raise TypeMismatch
        try:
            return decode_base64(value)
        except NotBase64 as reason:
            raise TypeMismatch(got=f"{describe(value)}, {reason}") from None

    def to_column(self, values: list[Any]) -> ColumnValues:
        return values


_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[Tt ](?P<time>\d\d:\d\d(?::\d\d)?)(?:(?<=:\d\d:\d\d)[.,](?P<fraction>\d+))?"
    r"(?P<zone>[Zz]|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NANOSECOND_DIGITS = 9
_NANOSECONDS = 1_000_000_000
# numpy reserves the lowest 64-bit number for NaT.
_LOWEST, _HIGHEST = -(2**63) + 1, 2**63 - 1


@dataclass(frozen=True, slots=True)
class DatetimeRule:
    """Nanoseconds since 1970 in UTC. A time with an offset is converted to UTC."""

    logical_type: LogicalType = "datetime"
    type_name: str = "datetime"
    expected: str = "datetime in ISO 8601 (such as 2024-05-31T12:30:00Z, from 1677 to 2262)"
    accepts_null: bool = False

    def convert_all(self, values: Sequence[Any], kinds: set[type]) -> ColumnValues | None:
        return None

    def convert_array(self, array: npt.NDArray[Any]) -> ColumnValues | None:
        if array.dtype.kind != "M":
            return None
        with np.errstate(all="ignore"):
            converted = array.astype("datetime64[ns]")
        # numpy wraps dates beyond 64 bits of nanoseconds and truncates finer units; the way back detects both.
        return converted if (converted.astype(array.dtype) == array).all() else None

    def convert_one(self, value: Any) -> int:
        written = _ISO.fullmatch(value) if isinstance(value, str) else None
        if written is None:
            raise TypeMismatch
        nanoseconds = _whole_seconds(written) * _NANOSECONDS + _fraction(written["fraction"] or "")
        if not _LOWEST <= nanoseconds <= _HIGHEST:
            raise TypeMismatch
        return nanoseconds

    def to_column(self, values: list[Any]) -> ColumnValues:
        return np.array(values, dtype=np.int64).view("datetime64[ns]")


def _whole_seconds(written: re.Match[str]) -> int:
    zone = (written["zone"] or "Z").upper().replace("Z", "+00:00")
    try:
        timestamp = datetime.fromisoformat(f"{written['date']}T{written['time'] or '00:00'}{zone}")
    except ValueError:
        raise TypeMismatch from None
    seconds: int = (timestamp - _EPOCH) // timedelta(seconds=1)
    return seconds


def _fraction(digits: str) -> int:
    """Return the fraction of a second in nanoseconds. Raises TypeMismatch for a finer fraction."""
    if digits[_NANOSECOND_DIGITS:].strip("0"):
        raise TypeMismatch
    return int(digits[:_NANOSECOND_DIGITS].ljust(_NANOSECOND_DIGITS, "0"))


STRING = StringRule()
BINARY = BinaryRule()
DATETIME = DatetimeRule()
