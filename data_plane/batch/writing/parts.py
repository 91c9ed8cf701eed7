"""The predictions of one mini-batch, as they come from its files."""

import collections
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from data_plane.batch.writing import sections
from data_plane.batch.writing.answers import (
    PREDICTION,
    Answer,
    Columns,
    WrongAnswer,
    as_one,
    blocks,
    described,
    named_columns,
    open_answer,
    single_column,
)
from data_plane.batch.writing.blocks import ArrowEncoder, CsvEncoder, Encoder
from data_plane.batch.writing.sections import ColumnId, SectionColumn
from data_plane.scoring.payload.values import Result
from modelyard.core.domain.batch import BatchSettings, OutputAction, OutputFormat

_SECTION_BYTES = 4 << 20
_MEMORY_BYTES = 16 << 20
_CHUNK = 1 << 20


class _Block(NamedTuple):
    ids: tuple[ColumnId, ...]
    kinds: list[frozenset[str]]
    content: Any
    size: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a part stood."""

    rows: int
    sections: int
    end: int
    pending: tuple[_Block, ...]


class PartWriter:
    """One per mini-batch. A large part lies in a temporary file: memory holds some megabytes of it."""

    def __init__(self, settings: BatchSettings, output_names: Sequence[str] | None) -> None:
        self.rows = 0
        self._kept = settings.output_action is OutputAction.APPEND_ROW
        self._format = settings.output_format
        self._output_names = tuple(output_names or ())
        self._encoder: Encoder = ArrowEncoder() if self._format is OutputFormat.PARQUET else CsvEncoder()
        self._pending: list[_Block] = []
        self._pending_size = 0
        self._sections: list[tuple[int, tuple[SectionColumn, ...]]] = []
        self._end = 0
        self._spool = tempfile.SpooledTemporaryFile(_MEMORY_BYTES)  # noqa: SIM115 - closed with the writer
        weakref.finalize(self, self._spool.close)

    def add(self, file: str, first_row: int, rows: int, result: Result, *, whole: bool = False) -> None:
        """Write the predictions for rows of a file, of which the base name is written. All of them or, raising
        WrongAnswer, none.

        `whole`: the file is one input that is no table, an image say. All of the answer is its prediction. Azure
        numbers rows of tables only, so that the row of such a file says nothing; here it is 0.
        """
        answer = open_answer(as_one(result) if whole else result, rows)
        if answer is None:
            raise WrongAnswer(file, first_row, rows, described(result))
        mark = self.mark()
        try:
            self._write_all(file, first_row, rows, answer)
        except RecursionError:
            self.back_to(mark)
            raise WrongAnswer(file, first_row, rows, "lists in lists too deep to be written") from None
        self.rows += rows

    def mark(self) -> Mark:
        """Before a file that may turn out to be bad."""
        return Mark(self.rows, len(self._sections), self._end, tuple(self._pending))

    def back_to(self, mark: Mark) -> None:
        """As if nothing had been added since."""
        self.rows = mark.rows
        del self._sections[mark.sections :]
        self._end = mark.end
        self._pending = list(mark.pending)
        self._pending_size = sum(block.size for block in mark.pending)

    def content(self) -> Iterator[bytes]:
        """The part as it goes into the object store: the same however often it is asked for."""
        self._flush()
        if self._kept and self._format is not OutputFormat.AZURE:
            yield sections.written(self._sections)
        for start in range(0, self._end, _CHUNK):
            self._spool.seek(start)
            yield self._spool.read(min(_CHUNK, self._end - start))

    def _write_all(self, file: str, first_row: int, rows: int, answer: Answer) -> None:
        if self._kept:
            for part, block in blocks(answer, rows):
                self._write(file, first_row + part.start, part.stop - part.start, block)

    def _write(self, file: str, first_row: int, rows: int, answer: Answer) -> None:
        columns = self._columns(answer, rows)
        content = self._encoder.encode(file, first_row, rows, columns)
        block = _Block(_ids(columns), self._encoder.kinds(columns), content, self._encoder.size(content))
        if self._pending and not self._continues(block):
            self._flush()
        self._pending.append(block)
        self._pending_size += block.size
        if self._pending_size >= _SECTION_BYTES:
            self._flush()

    def _columns(self, answer: Answer, rows: int) -> Columns:
        if self._format is OutputFormat.AZURE:
            return [(PREDICTION, single_column(answer, rows))]
        return named_columns(answer, self._output_names)

    def _continues(self, block: _Block) -> bool:
        before = self._pending[-1]
        return before.ids == block.ids and self._encoder.alike(before.content, block.content)

    def _flush(self) -> None:
        if not self._pending:
            return
        kinds = (frozenset().union(*each) for each in zip(*(block.kinds for block in self._pending), strict=True))
        columns = tuple(map(SectionColumn, self._pending[0].ids, kinds))
        content = self._encoder.join([block.content for block in self._pending])
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
