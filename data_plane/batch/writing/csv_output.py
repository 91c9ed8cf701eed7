"""CSV whose header names the predictions."""

import re
from collections.abc import Iterator, Sequence

from data_plane.batch.writing.headings import column_kinds, headings
from data_plane.batch.writing.sections import ColumnId, Section
from data_plane.batch.writing.texts import quoted_field
from modelyard.core.ports.object_store import ObjectStore

# A field, and the comma or the end of the line behind it.
_FIELD = re.compile(rb'("(?:[^"]|"")*"|[^",\n]*)[,\n]')


def csv_with_header(store: ObjectStore, sections: Sequence[Section]) -> Iterator[bytes]:
    """Sections mostly have the output's columns already and pass as they are. Where a model answered some rows with
    other columns, those of a section find their places, and the others are empty in it."""
    ids = tuple(column_kinds(sections))
    yield b",".join(map(quoted_field, headings(ids))) + b"\n"
    for section in sections:
        lines = section.content(store)
        yield from lines if section.ids == ids else [_rearranged(b"".join(lines), section.ids, ids)]


def _rearranged(lines: bytes, present: Sequence[ColumnId], wanted: Sequence[ColumnId]) -> bytes:
    fields = _FIELD.findall(lines)
    width = len(present) + 2
    places = {column: place for place, column in enumerate(present, start=1)}
    order = [places.get(column) for column in wanted]
    rows = (fields[start : start + width] for start in range(0, len(fields), width))
    return b"".join(
        b",".join([row[0], *(b"" if place is None else row[place] for place in order), row[-1]]) + b"\n" for row in rows
    )
