"""What a Parquet file's pages would take in memory, told by their own headers before anything is unpacked.

The footer says it too, but a hostile one lies, and Arrow allocates by the pages' headers. These are structs in
Thrift's compact encoding.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

# Types of the compact encoding.
_STOP, _TRUE = 0, 1
_DEEPEST = 8
_LONGEST_VARINT = 70

# Field numbers of parquet.thrift.
_UNPACKED_SIZE, _PACKED_SIZE = 2, 3
_CONTENTS = {5: 2, 7: 2, 8: 4}
"""The headers of data, dictionary and version 2 data pages, and which of their fields is the encoding."""
_VALUE_COUNT = 1


class MalformedPage(Exception):
    """What lies there is no page header."""


class Page(NamedTuple):
    unpacked: int
    values: int
    encoding: int


def pages(file: bytes, start: int, length: int) -> Iterator[Page]:
    """Of one column chunk."""
    end = start + length
    if not 0 <= start <= end <= len(file):
        raise MalformedPage
    reader = _Reader(file, start, end)
    while reader.at < end:
        header = reader.struct()
        yield _page(header)
        reader.skip(_number(header, _PACKED_SIZE))


def _page(header: dict[int, Any]) -> Page:
    for field, encoding in _CONTENTS.items():
        contents = header.get(field)
        if isinstance(contents, dict):
            return Page(_number(header, _UNPACKED_SIZE), _number(contents, _VALUE_COUNT), contents.get(encoding, 0))
    return Page(_number(header, _UNPACKED_SIZE), 0, 0)


def _number(struct: dict[int, Any], field: int) -> int:
    value = struct.get(field)
    if not isinstance(value, int) or value < 0:
        raise MalformedPage
    return value


class _Reader:
    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data = data
        self.at = at
        self._end = end

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Field numbers and values; texts are left out."""
        if depth > _DEEPEST:
            raise MalformedPage
        fields: dict[int, Any] = {}
        field = 0
        while (head := self._byte()) & 0x0F != _STOP:
            field = field + (head >> 4) if head >> 4 else self._zigzag()
            fields[field] = self._value(head & 0x0F, depth)
        return fields

    def skip(self, count: int) -> None:
        self.at += count
        if self.at > self._end:
            raise MalformedPage

    def _value(self, kind: int, depth: int) -> Any:
        match kind:
            case 1 | 2:
                return kind == _TRUE
            case 3:
                return self._byte()
            case 4 | 5 | 6:
                return self._zigzag()
            case 7:
                return self.skip(8)
            case 8:
                return self.skip(self._varint())
            case 12:
                return self.struct(depth + 1)
            case _:
                # Lists and maps occur in no page header.
                raise MalformedPage

    def _byte(self) -> int:
        if self.at >= self._end:
            raise MalformedPage
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift >= _LONGEST_VARINT:
                raise MalformedPage
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
