"""Read CSV as `DataFrame.to_csv` writes CSV. Values stay text: the signature decides the type of each.

Only pandas' default tokens mark a missing value. A line with more or fewer values than the header is refused by line
number; pandas would pad the line or shift the columns.
"""

import re
from collections.abc import Sequence
from itertools import count
from typing import Any

import pyarrow
import pyarrow.csv

from data_plane.scoring.errors import InvalidBody
from data_plane.scoring.signature import CompiledSignature
from data_plane.scoring.signature.header_hints import separator_hint
from data_plane.scoring.signature.table import Table, TypedColumn
from data_plane.scoring.tables.arrow_columns import python_values
from data_plane.scoring.tables.table_limits import check_count

MISSING = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OPENING_QUOTE = re.compile(rb'(?:^|[,\r\n])"')
_REST_OF_QUOTED = re.compile(rb'[^"]*+(?:""[^"]*+)*+"')
_MAX_LISTED = 10
_TEXTS = pyarrow.csv.ConvertOptions(
    default_column_type=pyarrow.string(),
    null_values=MISSING,
    strings_can_be_null=True,
    quoted_strings_can_be_null=True,
)


def read_csv(body: bytes, signature: CompiledSignature) -> Table:
    check_count(body.count(b",") + body.count(b"\n"))
    body = body.removeprefix(_BYTE_ORDER_MARK)
    _check_text(body)
    _check_quotes(body)
    ragged = _RaggedLines()
    read = _read(body, ragged)
    ragged.refuse_if_any(read.column_names)
    names = distinct_names(read.column_names, {str(spec.name) for spec in signature.inputs})
    columns = tuple(TypedColumn(python_values(column)) for column in read.columns)
    return Table(names, columns, read.num_rows, is_text=True)


def _check_text(body: bytes) -> None:
    """Check UTF-8 before parsing: pyarrow checks well-formed lines only and fails at invalid bytes in a ragged line."""
    if body.isascii():
        return
    try:
        body.decode()
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise InvalidBody(
            f"the CSV is not UTF-8: line {line} has a byte that is not valid; save the file as UTF-8"
        ) from None


def _check_quotes(body: bytes) -> None:
    """Refuse an unclosed quote. pyarrow would accept the end of the body as the quote's end; a cut body is likelier."""
    if body.count(b'"') % 2 == 0:
        return
    at = 0
    while opened := _OPENING_QUOTE.search(body, at):
        closed = _REST_OF_QUOTED.match(body, opened.end())
        if closed is None:
            line = body.count(b"\n", 0, opened.end()) + 1
            raise InvalidBody(
                f"the CSV ends inside quotes opened in line {line}: close the quotes, or send the whole file"
            )
        at = closed.end()


def _read(body: bytes, ragged: "_RaggedLines") -> Any:
    if b"\n" not in body and b"\r" not in body:
        # pyarrow requires a line end after a header without rows.
        body += b"\n"
    try:
        return pyarrow.csv.read_csv(
            pyarrow.BufferReader(body),
            # One block, because a single value may be as long as the body.
            pyarrow.csv.ReadOptions(use_threads=False, block_size=len(body) + 1),
            pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=ragged),
            _TEXTS,
        )
    except pyarrow.ArrowException as error:
        raise InvalidBody(f"the body is not CSV with a header line, in UTF-8: {error}") from None


class _RaggedLines:
    """Collect the lines with more or fewer values than the header."""

    def __init__(self) -> None:
        self._listed: list[str] = []
        self._count = 0

    def __call__(self, line: Any) -> str:
        if line.text.strip():
            self._count += 1
            if len(self._listed) < _MAX_LISTED:
                self._listed.append(f"line {line.number} has {line.actual_columns}, not {line.expected_columns}")
        return "skip"

    def refuse_if_any(self, names: Sequence[str]) -> None:
        if self._count:
            more = f", and {self._count - len(self._listed)} more" if self._count > len(self._listed) else ""
            raise InvalidBody(
                "the CSV has lines with another number of values than its header (which is line 1; empty lines do not "
                f"count): {'; '.join(self._listed)}{more}{separator_hint(names)}"
            )


def distinct_names(names: Sequence[str], declared: set[str]) -> tuple[str, ...]:
    """Make column names distinct as pandas does: a second `a` becomes `a.1`, an empty name in column 3 `Unnamed: 3`."""
    distinct: dict[str, None] = {}
    for place, written in enumerate(names):
        name = written or f"Unnamed: {place}"
        copies = count(1)
        unique = name
        while unique in distinct:
            unique = f"{name}.{next(copies)}"
        if unique != name and name in declared and unique not in declared:
            raise InvalidBody(f"the CSV has the column {name!r} more than once")
        distinct[unique] = None
    return tuple(distinct)
