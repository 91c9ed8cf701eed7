"""How a part lies in the object store until the job's output is put together.

A part of the formats with named columns is one line of JSON, its sections' list, and the sections behind each other. A
section is a few megabytes of rows with the same columns: whoever assembles may hold one in memory, and learns from the
lists alone which columns the output has, before the first row is written.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelyard.core.ports.object_store import ObjectStore

_READ = 1 << 16

ColumnId = tuple[str, int]
"""A name, and the how-manieth of that name it is in its table: a DataFrame may have two columns `a`."""


@dataclass(frozen=True, slots=True)
class SectionColumn:
    id: ColumnId
    kinds: frozenset[str]
    """What its values are; several where they are not all alike, none where all are missing."""


@dataclass(frozen=True, slots=True)
class Section:
    key: str
    start: int
    size: int
    columns: tuple[SectionColumn, ...]

    def content(self, store: ObjectStore) -> Iterator[bytes]:
        return store.get(self.key, start=self.start, length=self.size)

    @property
    def ids(self) -> tuple[ColumnId, ...]:
        return tuple(column.id for column in self.columns)


def written(sections: Sequence[tuple[int, tuple[SectionColumn, ...]]]) -> bytes:
    """The list at the head of a part, from each section's size and columns."""
    document = [[size, [[*column.id, sorted(column.kinds)] for column in columns]] for size, columns in sections]
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def read(store: ObjectStore, key: str) -> list[Section]:
    """Raises ObjectMissing."""
    head = _first_line(store, key)
    sections, start = [], len(head)
    for size, columns in json.loads(head):
        known = tuple(SectionColumn((name, nth), frozenset(kinds)) for name, nth, kinds in columns)
        sections.append(Section(key, start, size, known))
        start += size
    return sections


def _first_line(store: ObjectStore, key: str) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        more = b"".join(store.get(key, start=len(line), length=_READ))
        if not more:
            raise ValueError(f"{key!r} is not a part of a job's output")
        line += more.partition(b"\n")[0] + (b"\n" if b"\n" in more else b"")
    return line
