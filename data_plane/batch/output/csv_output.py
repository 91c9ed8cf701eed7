"""CSV output: Azure's format, without a header and with a single prediction per row, and CSV with a header."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from data_plane.batch.output.column_text import (
    csv_texts,
    few_number_texts,
    joined,
    literal,
    needs_quotes,
    quoted,
    quoted_field,
)
from data_plane.batch.output.columns import collect_columns, headings, row_numbers
from data_plane.batch.output.predictions import PREDICTION, Columns, Predictions, named_columns, single_column
from data_plane.batch.output.sections import ColumnId, Section, read_all_sections
from modelyard.core.ports.object_store import ObjectStore

# Arrow's functions take longer to start than Python needs for so many rows.
_FEW_ROWS = 256
# A field, and the comma or the end of the line behind it.
_FIELD = re.compile(rb'("(?:[^"]|"")*"|[^",\n]*)[,\n]')


class _CsvLines:
    """Blocks of CSV lines."""

    def encode(self, file: str, first_row: int, rows: int, columns: Columns) -> bytes:
        if 0 < rows <= _FEW_ROWS and len(columns) == 1 and (texts := few_number_texts(columns[0][1])) is not None:
            end = b",%b\n" % quoted_field(file)
            return b"".join([b"%d,%b%b" % (row, text, end) for row, text in enumerate(texts, first_row)])
        fields: list[Any] = [csv_texts(row_numbers(first_row, rows))]
        for _, values in columns:
            texts = csv_texts(values)
            fields.append(quoted(texts) if needs_quotes(values) else texts)
        lines = joined(*fields, literal(quoted_field(file) + b"\n"), by=b",")
        # The array's data buffer is the text of the lines in order.
        return bytes(lines.buffers()[2]) if rows else b""

    def size(self, block: bytes) -> int:
        return len(block)

    def can_share_section(self, block: bytes, other: bytes) -> bool:
        return True

    def join(self, blocks: Sequence[bytes]) -> bytes:
        return b"".join(blocks)

    def column_types(self, columns: Columns) -> list[frozenset[str]]:
        return [frozenset()] * len(columns)


class AzureCsvWriter(_CsvLines):
    has_sections = False

    def columns(self, predictions: Predictions, rows: int, output_names: Sequence[str]) -> Columns:
        return [(PREDICTION, single_column(predictions, rows))]

    def assemble(self, store: ObjectStore, part_keys: Sequence[str]) -> Iterator[bytes]:
        for key in part_keys:
            yield from store.get(key)


class CsvWriter(_CsvLines):
    has_sections = True

    def columns(self, predictions: Predictions, rows: int, output_names: Sequence[str]) -> Columns:
        return named_columns(predictions, output_names)

    def assemble(self, store: ObjectStore, part_keys: Sequence[str]) -> Iterator[bytes]:
        """Pass sections with the output's columns unchanged.

        A section with different columns is rearranged, and columns missing in the section stay empty.
        """
        sections = read_all_sections(store, part_keys)
        ids = tuple(collect_columns(sections))
        yield b",".join(map(quoted_field, headings(ids))) + b"\n"
        for section in sections:
            yield from _in_columns(store, section, ids)


def _in_columns(store: ObjectStore, section: Section, ids: Sequence[ColumnId]) -> Iterator[bytes]:
    lines = section.content(store)
    return lines if section.ids == ids else iter([_rearranged(b"".join(lines), section.ids, ids)])


def _rearranged(lines: bytes, present: Sequence[ColumnId], wanted: Sequence[ColumnId]) -> bytes:
    fields = _FIELD.findall(lines)
    width = len(present) + 2
    positions = {column: position for position, column in enumerate(present, start=1)}
    order = [positions.get(column) for column in wanted]
    rows = (fields[start : start + width] for start in range(0, len(fields), width))
    return b"".join(
        b",".join([row[0], *(b"" if position is None else row[position] for position in order), row[-1]]) + b"\n"
        for row in rows
    )
