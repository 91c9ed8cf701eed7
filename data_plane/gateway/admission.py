"""The pending requests of each deployment, counted over all gateway processes that share the port.

Each process writes a small table in a file of its own, and maps and reads the tables of all gateways, without locks.
A gateway empties its own table at the start: the counts of a dead gateway end with the next one.
"""

import logging
from array import array
from collections.abc import Sequence
from pathlib import Path

from data_plane.gateway.mapped_table import FREE, RELEASED, SLOTS, Words, key_of, map_words, probe

_log = logging.getLogger(__name__)

_SLOT = 2
"""A key and a count."""


class PendingRequests:
    def __init__(self, folder: Path, index: int = 0, gateways: int = 1) -> None:
        tables = [_Table(folder / f"gateway-{each}.pending") for each in range(max(gateways, index + 1))]
        self._own = tables.pop(index)
        self._own.empty()
        self._others = tuple(tables)

    def slot(self, *name: object) -> "TableSlot":
        """The slot that counts the requests of `name`. All gateways use the same name for a deployment."""
        key = key_of(name)
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
        # A full table leaves a count of this process alone.
        self._words: Words = own.words if slot is not None else array("Q", [0])
        self._word = slot + 1 if slot is not None else 0
        self._count = 0

    def enter(self, limit: int) -> bool:
        # Count first, compare then: two gateways at the same time never exceed the limit together.
        self._count += 1
        self._words[self._word] = self._count
        pending = self._count
        for other in self._others:
            pending += other.count(self._key)
        if pending <= limit:
            return True
        self.leave()
        return False

    def leave(self) -> None:
        self._count -= 1
        self._words[self._word] = self._count

    def release(self) -> None:
        if self._slot is not None:
            self._own.free(self._slot)
            self._slot = None
            self._words, self._word = array("Q", [0]), 0


class _Table:
    def __init__(self, file: Path) -> None:
        self.words = map_words(file, _SLOT)

    def empty(self) -> None:
        for word in range(SLOTS * _SLOT):
            self.words[word] = 0

    def take_slot(self, key: int) -> int | None:
        for slot in probe(key, _SLOT):
            if self.words[slot] in (FREE, RELEASED):
                self.words[slot + 1] = 0
                self.words[slot] = key
                return slot
        return None

    def free(self, slot: int) -> None:
        self.words[slot + 1] = 0
        self.words[slot] = RELEASED
        # A released slot before a free slot is needed by no probe, and a free slot keeps probes short.
        while self.words[slot] == RELEASED and self.words[(slot + _SLOT) % len(self.words)] == FREE:
            self.words[slot] = FREE
            slot = (slot - _SLOT) % len(self.words)

    def count(self, key: int) -> int:
        for slot in probe(key, _SLOT):
            found = self.words[slot]
            if found == key:
                return self.words[slot + 1]
            if found == FREE:
                return 0
        return 0
