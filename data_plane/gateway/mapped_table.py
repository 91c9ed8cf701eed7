"""A table of eight-byte words in a mapped file, which the gateways of one machine read without locks.

Open addressing: a key is in the slot of its hash, or in the next free slot. The first word of a slot is the key.
"""

import hashlib
import mmap
import os
from collections.abc import Iterator, MutableSequence
from pathlib import Path

Words = MutableSequence[int]

SLOTS = 4096
FREE = 0
RELEASED = 1
"""Free again, but a later slot may hold a key with the same hash."""


def map_words(file: Path, slot_words: int) -> Words:
    """Map the file as the words of all slots; create a missing file, filled with zeros."""
    size = SLOTS * slot_words * 8
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Never shorter: another gateway may have mapped the file.
        os.ftruncate(descriptor, size)
        return memoryview(mmap.mmap(descriptor, size)).cast("Q")  # type: ignore[return-value]
    finally:
        os.close(descriptor)


def probe(key: int, slot_words: int) -> Iterator[int]:
    """The first word of each slot, in the order of the search for the key."""
    first = key % SLOTS
    for slot in range(first, first + SLOTS):
        yield slot % SLOTS * slot_words


def key_of(name: tuple[object, ...]) -> int:
    digest = hashlib.blake2b(repr(name).encode(), digest_size=8).digest()
    return max(int.from_bytes(digest, "little"), RELEASED + 1)
