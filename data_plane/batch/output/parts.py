"""The predictions of a mini-batch, written in the order of the files."""

import collections
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from data_plane.batch.output.formats import WRITERS
from data_plane.batch.output.predictions import (
    Columns,
    Predictions,
    WrongResult,
    as_single,
    blocks,
    described,
    open_result,
)
from data_plane.batch.output.sections import ColumnId, SectionColumn, section_list
from data_plane.scoring.payload.values import Result
from modelyard.core.domain.batch import BatchSettings, OutputAction

_SECTION_BYTES = 4 << 20
_MEMORY_BYTES = 32 << 20
_CHUNK = 1 << 20


class _Block(NamedTuple):
    ids: tuple[ColumnId, ...]
    types: list[frozenset[str]]
    content: Any
    size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """A position in a part, to which the part can go back."""

    rows: int
    sections: int
    end: int
    pending: tuple[_Block, ...]


class PartWriter:
    """Writes the part of a mini-batch. A large part is in a temporary file: memory holds some megabytes."""

    def __init__(self, settings: BatchSettings, output_names: Sequence[str] | None) -> None:
        self.rows = 0
        self._is_kept = settings.output_action is OutputAction.APPEND_ROW
        self._writer = WRITERS[settings.output_format]
        self._file_column = settings.output_file_column
        self._output_names = tuple(output_names or ())
        self._pending: list[_Block] = []
        self._pending_size = 0
        self._sections: list[tuple[int, tuple[SectionColumn, ...]]] = []
        self._end = 0
        self._spool = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115 - closed with the writer
        weakref.finalize(self, self._spool.close)

    def add(self, file: str, first_row: int, rows: int, result: Result, *, is_single: bool = False) -> None:
        """Write the predictions for rows of a file: all, or none and raise WrongResult.

        `is_single` marks a file with a single input, as an image: the whole result is the file's prediction. The row
        number is 0: Azure numbers only rows of tables.
        """
        predictions = open_result(as_single(result) if is_single else result, rows)
        if predictions is None:
            raise WrongResult(file, first_row, rows, described(result))
        mark = self.mark()
        try:
            self._write_all(file, first_row, rows, predictions)
        except RecursionError:
            self.rewind(mark)
            raise WrongResult(file, first_row, rows, "lists that are nested too deeply to be written") from None
        self.rows += rows

    def mark(self) -> Mark:
        return Mark(self.rows, len(self._sections), self._end, tuple(self._pending))

    def rewind(self, mark: Mark) -> None:
        """Discard all rows added since `mark`."""
        self.rows = mark.rows
        del self._sections[mark.sections :]
        self._end = mark.end
        self._pending = list(mark.pending)
        self._pending_size = sum(block.size for block in mark.pending)

    def content(self) -> Iterator[bytes]:
        """Yield the part for the object store, the same bytes every time."""
        self._flush()
        if self._is_kept and self._writer.has_sections:
            yield section_list(self._sections)
        for start in range(0, self._end, _CHUNK):
            self._spool.seek(start)
            yield self._spool.read(min(_CHUNK, self._end - start))

    def _write_all(self, file: str, first_row: int, rows: int, predictions: Predictions) -> None:
        if self._is_kept:
            for part, block in blocks(predictions, rows):
                self._write(file, first_row + part.start, part.stop - part.start, block)

    def _write(self, file: str, first_row: int, rows: int, predictions: Predictions) -> None:
        writer = self._writer
        columns = writer.columns(predictions, rows, self._output_names)
        content = writer.encode(self._file_column.name_of(file), first_row, rows, columns)
        block = _Block(_ids(columns), writer.column_types(columns), content, writer.size(content))
        if self._pending and not self._continues_section(block):
            self._flush()
        self._pending.append(block)
        self._pending_size += block.size
        if self._pending_size >= _SECTION_BYTES:
            self._flush()

    def _continues_section(self, block: _Block) -> bool:
        before = self._pending[-1]
        return before.ids == block.ids and self._writer.can_share_section(before.content, block.content)

    def _flush(self) -> None:
        if not self._pending:
            return
        types = (frozenset().union(*each) for each in zip(*(block.types for block in self._pending), strict=True))
        columns = tuple(map(SectionColumn, self._pending[0].ids, types))
        content = self._writer.join([block.content for block in self._pending])
        self._spool.seek(self._end)
        self._spool.write(content)
        self._end += len(content)
        self._sections.append((len(content), columns))
        self._pending, self._pending_size = [], 0


def _ids(columns: Columns) -> tuple[ColumnId, ...]:
    seen: collections.Counter[str] = collections.Counter()
    ids = []
    for name, _ in columns:
        ids.append((name, seen[name]))
        seen[name] += 1
    return tuple(ids)
