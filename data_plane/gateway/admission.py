"""The pending requests of each deployment, counted over all gateway processes that share the port.

Each process writes a small table in a file of its own, and maps and reads the tables of all gateways, without locks.
A gateway empties its own table at the start: the counts of a dead gateway end with the next one.
"""

import hashlib
import logging
import mmap
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

_log = logging.getLogger(__name__)

_SLOTS = 4096
_SLOT = 2
"""A key and a count, of eight bytes each."""
_BYTES = _SLOTS * _SLOT * 8

_FREE = 0
_RELEASED = 1
"""Free again, but a later slot may hold a key with the same hash."""


class PendingRequests:
    def __init__(self, folder: Path, index: int = 0, gateways: int = 1) -> None:
        tables = [_Table(folder / f"gateway-{each}.pending") for each in range(max(gateways, index + 1))]
        self._own = tables.pop(index)
        self._own.empty()
        self._others = tuple(tables)

    def slot(self, *name: object) -> "TableSlot":
        """The slot that counts the requests of `name`. All gateways use the same name for a deployment."""
        key = _key(name)
        slot = self._own.take_slot(key)
        if slot is None:
            _log.warning(
                "The table of pending requests is full: each gateway counts the requests of %s for itself", name
            )
        return TableSlot(self._own, self._others, key, slot)


class TableSlot:
    """An AdmissionSlot in the mapped tables."""

    def __init__(self, own: "_Table", others: Sequence["_Table"], key: int, slot: int | None) -> None:
        self._own = own
        self._others = others if slot is not None else ()
        self._key = key
        self._slot = slot
        self._count = 0

    def enter(self, limit: int) -> bool:
        self._set(self._count + 1)
        # Count first, compare then: two gateways at the same time never exceed the limit together.
        if self._count + sum(other.count(self._key) for other in self._others) <= limit:
            return True
        self._set(self._count - 1)
        return False

    def leave(self) -> None:
        self._set(self._count - 1)

    def release(self) -> None:
        if self._slot is not None:
            self._own.free(self._slot)
            self._slot = None

    def _set(self, count: int) -> None:
        self._count = count
        if self._slot is not None:
            self._own.write(self._slot, count)


class _Table:
    """Open addressing: a key is in the slot of its hash, or in the next free slot."""

    def __init__(self, file: Path) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # Never shorter: another gateway may have mapped the file.
            os.ftruncate(descriptor, _BYTES)
            self._words = memoryview(mmap.mmap(descriptor, _BYTES)).cast("Q")
        finally:
            os.close(descriptor)

    def empty(self) -> None:
        for word in range(_SLOTS * _SLOT):
            self._words[word] = 0

    def take_slot(self, key: int) -> int | None:
        for slot in _probe(key):
            if self._words[slot] in (_FREE, _RELEASED):
                self._words[slot + 1] = 0
                self._words[slot] = key
                return slot
        return None

    def free(self, slot: int) -> None:
        self._words[slot + 1] = 0
        self._words[slot] = _RELEASED
        # A released slot before a free slot is needed by no probe, and a free slot keeps probes short.
        while self._words[slot] == _RELEASED and self._words[(slot + _SLOT) % len(self._words)] == _FREE:
            self._words[slot] = _FREE
            slot = (slot - _SLOT) % len(self._words)

    def write(self, slot: int, count: int) -> None:
        self._words[slot + 1] = count

    def count(self, key: int) -> int:
        for slot in _probe(key):
            found = self._words[slot]
            if found == key:
                return self._words[slot + 1]
            if found == _FREE:
                return 0
        return 0


def _probe(key: int) -> Iterator[int]:
    first = key % _SLOTS
    for slot in range(first, first + _SLOTS):
        yield slot % _SLOTS * _SLOT


def _key(name: tuple[object, ...]) -> int:
    digest = hashlib.blake2b(repr(name).encode(), digest_size=8).digest()
    return max(int.from_bytes(digest, "little"), _RELEASED + 1)
