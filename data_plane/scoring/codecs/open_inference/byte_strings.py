"""BYTES as binary data: for each element a length in four bytes, little-endian, and then the content."""

import struct
from collections.abc import Iterable

_LENGTH = struct.Struct("<I")


class MalformedElements(ValueError):
    """The lengths do not add up to the data."""


def read_elements(part: memoryview, count: int) -> list[bytes]:
    elements: list[bytes] = []
    place = 0
    for _ in range(count):
        if place + _LENGTH.size > len(part):
            raise MalformedElements
        (length,) = _LENGTH.unpack_from(part, place)
        place += _LENGTH.size
        elements.append(bytes(part[place : place + length]))
        place += length
    if place != len(part):
        raise MalformedElements
    return elements


def write_elements(elements: Iterable[bytes]) -> bytes:
    return b"".join(part for element in elements for part in (_LENGTH.pack(len(element)), element))
