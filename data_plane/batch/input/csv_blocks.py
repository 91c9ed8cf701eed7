"""Reads a block of CSV, whole lines without the header, into columns.

As online, pandas' default tokens are missing values, and a line that is not as wide as the header is an error.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow
import pyarrow.csv

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input.number_columns import ARROW_TYPES, is_exact, is_plain, number_column, parsed_texts
from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import ColumnSpec, CompiledSignature, TensorSpec
from data_plane.scoring.signature.header_hints import separator_hint
from data_plane.scoring.signature.table import Table, TypedColumn
from data_plane.scoring.tables.arrow_columns import python_values
from data_plane.scoring.tables.csv_body import MISSING, distinct_names
from data_plane.scoring.types import LogicalType

_MAX_LISTED = 10
LEFT_OUT = TypedColumn([])
"""Stands for a column that the model does not need."""
_TEXT = pyarrow.string()
_REAL_KINDS: Mapping[str, LogicalType] = {"float32": "float", "float64": "double"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of one file, as the model uses them."""

    names: tuple[str, ...]
    kinds: Mapping[str, LogicalType]
    """Types that the signature declares."""
    left_out: frozenset[str]
    """Columns that the model does not need, and that are not read."""

    @property
    def read(self) -> list[str]:
        return [name for name in self.names if name not in self.left_out]

    @property
    def numbers(self) -> dict[str, pyarrow.DataType] | None:
        """The types of the columns to read, if the signature declares all of them as numbers."""
        kinds = [self.kinds.get(name) for name in self.read]
        if not kinds or any(kind not in ARROW_TYPES for kind in kinds):
            return None
        return {name: ARROW_TYPES[self.kinds[name]] for name in self.read}


def layout_of(header: bytes, signature: CompiledSignature) -> Layout:
    names = _names(header, signature)
    if signature.is_raw:
        # The signature types the values of a list, not the columns: all columns stay texts.
        return Layout(names, dict.fromkeys(names, "string"), frozenset())
    if not signature.inputs or not isinstance(signature.inputs[0], ColumnSpec):
        return Layout(names, _parts_of_a_tensor(names, signature), frozenset())
    if signature.inputs[0].name is None:
        rules = [spec.rule.logical_type for spec in signature.inputs]
        return Layout(names, dict(zip(names, rules, strict=False)), frozenset())
    declared = {str(spec.name): spec.rule.logical_type for spec in signature.inputs}
    return Layout(names, declared, frozenset(names) - declared.keys())


def _parts_of_a_tensor(names: Sequence[str], signature: CompiledSignature) -> dict[str, LogicalType]:
    """Types of columns that together are one unnamed tensor."""
    match signature.inputs:
        case (TensorSpec(dtype=dtype),) if dtype.kind in "iu":
            return dict.fromkeys(names, "long")
        case (TensorSpec(dtype=dtype),) if dtype.name in _REAL_KINDS:
            return dict.fromkeys(names, _REAL_KINDS[dtype.name])
        case _:
            return {}


def _names(header: bytes, signature: CompiledSignature) -> tuple[str, ...]:
    try:
        lines = csv.reader(io.StringIO(header.decode(), newline=""))
        written = next(line for line in lines if len(line) > 1 or (line and (not line[0] or line[0].strip())))
        return distinct_names(written, {str(spec.name) for spec in signature.inputs})
    except InvalidBody as invalid:
        raise UnreadableFile(invalid.message) from None
    except StopIteration:
        raise UnreadableFile("the file has no header: the first line must name the columns") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise UnreadableFile(f"the first line is not a CSV header in UTF-8: {error}") from None


def read_block(block: bytes, layout: Layout, first_row: int) -> pyarrow.Table:
    """Return numbers if every column is plain numbers, else texts. Raises UnreadableFile."""
    numbers = layout.numbers
    if numbers is not None and is_plain(block):
        try:
            read = _read(block, layout, first_row, numbers, ("",))
        except pyarrow.ArrowInvalid:
            return read_texts(block, layout, first_row)
        if all(is_exact(read.column(name), layout.kinds[name]) for name in layout.read):
            return read
    return read_texts(block, layout, first_row)


def read_texts(block: bytes, layout: Layout, first_row: int) -> pyarrow.Table:
    try:
        return _read(block, layout, first_row, dict.fromkeys(layout.read, _TEXT), MISSING)
    except pyarrow.ArrowException as error:
        raise UnreadableFile(f"the rows from {first_row} on are not CSV in UTF-8: {error}") from None


def _read(
    block: bytes, layout: Layout, first_row: int, types: Mapping[str, pyarrow.DataType], missing: Sequence[str]
) -> pyarrow.Table:
    ragged = _RaggedLines(first_row)
    read = pyarrow.csv.read_csv(
        pyarrow.BufferReader(block),
        pyarrow.csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=layout.names),
        pyarrow.csv.ParseOptions(newlines_in_values=b'"' in block, invalid_row_handler=ragged),
        pyarrow.csv.ConvertOptions(
            column_types=types,
            # A model that needs no column still needs the number of rows.
            include_columns=layout.read or list(layout.names[:1]),
            null_values=missing,
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    ragged.raise_if_any(layout.names)
    return read


class _RaggedLines:
    """Collects rows that are shorter or longer than the header."""

    def __init__(self, first_row: int) -> None:
        self._first_row = first_row
        self._listed: list[str] = []
        self._count = 0
        self._blank = 0

    def __call__(self, line: Any) -> str:
        if not line.text.strip(" \t\r\n"):
            self._blank += 1
            return "skip"
        self._count += 1
        if len(self._listed) < _MAX_LISTED:
            row = self._first_row + line.number - 1 - self._blank
            self._listed.append(f"row {row} has {line.actual_columns}, not {line.expected_columns}")
        return "skip"

    def raise_if_any(self, names: Sequence[str]) -> None:
        if self._count:
            more = f", and {self._count - len(self._listed)} more" if self._count > len(self._listed) else ""
            raise UnreadableFile(
                f"rows that are not as wide as the header (rows count from 0): {'; '.join(self._listed)}{more}"
                f"{separator_hint(names)}"
            )


def table_of(
    read: Sequence[pyarrow.Table], layout: Layout, kinds: Sequence[str] | None = None, *, as_texts: bool = False
) -> Table:
    """Join blocks into a table. `kinds` are types from the whole file, for columns without a declared type."""
    found: dict[str, Any] = dict(zip(layout.names, kinds, strict=True)) if kinds else {}

    def column(name: str) -> TypedColumn:
        parts = [table.column(name) for table in read]
        if name in layout.kinds and not as_texts:
            return _concatenated([_declared(part, layout.kinds[name]) for part in parts])
        texts = pyarrow.chunked_array([chunk for part in parts for chunk in part.chunks], _TEXT)
        return TypedColumn(python_values(texts)) if name in layout.kinds else _undeclared(texts, found.get(name))

    columns = tuple(LEFT_OUT if name in layout.left_out else column(name) for name in layout.names)
    return Table(layout.names, columns, sum(map(len, read)), is_text=True)


def _undeclared(texts: pyarrow.ChunkedArray, found: LogicalType | None) -> TypedColumn:
    """Type a column without a declared type. `found` is its type in the whole file; None if these are all rows."""
    for kind in ("long", "double") if found is None else (found,):
        # In pandas, a column of whole numbers with a missing value is a column of doubles.
        numbers = None if kind == "long" and texts.null_count else parsed_texts(texts, kind)
        if numbers is not None:
            return numbers
    return TypedColumn(python_values(texts), kind=found)


def _declared(column: pyarrow.ChunkedArray, kind: LogicalType) -> TypedColumn:
    if column.type != _TEXT:
        return number_column(column)
    return parsed_texts(column, kind) or TypedColumn(python_values(column))


def _concatenated(parts: Sequence[TypedColumn]) -> TypedColumn:
    """Join parts of a column. Mixed types, and whole numbers with missing values, become a list of values."""
    if len(parts) == 1:
        return parts[0]
    arrays = [part.values for part in parts if not isinstance(part.values, list)]
    is_one_type = len(arrays) == len(parts) and len({array.dtype for array in arrays}) == 1
    if is_one_type and all(part.nulls is None for part in parts):
        return TypedColumn(np.concatenate(arrays))
    return TypedColumn([value for part in parts for value in _listed(part)])


def _listed(part: TypedColumn) -> Iterable[Any]:
    listed = part.values if isinstance(part.values, list) else part.values.tolist()
    if part.nulls is not None:
        return [None if absent else value for value, absent in zip(listed, part.nulls.tolist(), strict=True)]
    return [None if value != value else value for value in listed]
