"""The form of a part in the object store, for output formats with named columns.

A part begins with a line of JSON, the list of sections; the sections follow. A section is a few megabytes of rows with
the same columns, and fits into memory. The lists alone tell the columns of the output, before the first row is written.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelyard.core.ports.object_store import ObjectStore

_READ = 1 << 16

ColumnId = tuple[str, int]
"""A name, and a count among columns of the same name: a DataFrame may have two columns `a`."""


@dataclass(frozen=True, slots=True)
class SectionColumn:
    id: ColumnId
    types: frozenset[str]
    """Types of the values: several for mixed values, none if all values are missing."""


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


def section_list(sections: Sequence[tuple[int, tuple[SectionColumn, ...]]]) -> bytes:
    """Encode the list at the head of a part, from each section's size and columns."""
    document = [[size, [[*column.id, sorted(column.types)] for column in columns]] for size, columns in sections]
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def read_sections(store: ObjectStore, key: str) -> list[Section]:
    """Read the list of a part's sections. Raises ObjectMissing."""
    head = _first_line(store, key)
    sections, start = [], len(head)
    for size, columns in json.loads(head):
        known = tuple(SectionColumn((name, nth), frozenset(types)) for name, nth, types in columns)
        sections.append(Section(key, start, size, known))
        start += size
    return sections


def read_all_sections(store: ObjectStore, keys: Sequence[str]) -> list[Section]:
    """Read the sections of several parts in order. Raises ObjectMissing."""
    return [section for key in keys for section in read_sections(store, key)]


def _first_line(store: ObjectStore, key: str) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        more = b"".join(store.get(key, start=len(line), length=_READ))
        if not more:
            raise ValueError(f"object {key!r} is not a part of a job's output")
        line += more.partition(b"\n")[0] + (b"\n" if b"\n" in more else b"")
    return line
