"""Splits a job's files into mini-batches: small files are grouped, large files are split in a single pass.

The plan is fixed for the life of the job. A file no larger than a block is not opened: reading is as fast as planning,
and a job may have thousands of small files.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from data_plane.batch.failures import FileFailure, UnreadableFile
from data_plane.batch.input import text_blocks
from data_plane.batch.input.csv_splitting import split_csv
from data_plane.batch.input.formats import FileFormat, compression_of, format_of, unsupported
from data_plane.batch.input.json_lines_reader import split_json_lines
from data_plane.batch.input.parquet_reader import split_parquet
from data_plane.batch.input.spans import Span
from data_plane.scoring.signature import CompiledSignature, TensorSpec
from modelyard.core.domain.batch import InputFile
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore


@dataclass(frozen=True, slots=True)
class Plan:
    mini_batches: tuple[tuple[Span, ...], ...]
    rows: int | None
    """None: some files were not counted."""
    failures: tuple[FileFailure, ...]
    """Files that planning found unreadable."""


def plan(
    store: ObjectStore,
    files: Sequence[InputFile],
    *,
    mini_batch_size: int,
    row_by_row: bool,
    signature: CompiledSignature,
) -> Plan:
    """`row_by_row` tells whether predictions for a row do not depend on neighbouring rows."""
    failures: list[FileFailure] = []
    split: list[tuple[Span, ...]] = []
    may_split = row_by_row and _accepts_any_row_count(signature)
    for file in files:
        try:
            split.append(_spans(store, file, signature, may_split=may_split))
        except UnreadableFile as unreadable:
            failures.append(FileFailure(file.path, None, None, str(unreadable)))
        except ObjectMissing:
            failures.append(FileFailure(file.path, None, None, "the file is no longer in the object store"))
    counts = [span.rows for spans in split for span in spans]
    rows = None if None in counts else sum(count for count in counts if count is not None)
    return Plan(tuple(_grouped(split, mini_batch_size)), rows, tuple(failures))


def _accepts_any_row_count(signature: CompiledSignature) -> bool:
    """A tensor may be declared with a fixed number of rows."""
    return all(not isinstance(spec, TensorSpec) or spec.shape[:1] == (-1,) for spec in signature.inputs)


def _spans(store: ObjectStore, file: InputFile, signature: CompiledSignature, *, may_split: bool) -> tuple[Span, ...]:
    file_format = format_of(file.path)
    if file_format is None:
        raise UnreadableFile(unsupported(file.path))
    whole = Span(file.path, file.key, is_whole=not may_split)
    if not may_split or compression_of(file.path) is not None or file.size <= text_blocks.BLOCK_BYTES:
        return (whole,)
    match file_format:
        case FileFormat.CSV:
            return tuple(split_csv(store, whole, signature))
        # Without a signature, the parts of a Parquet or JSON file may differ in types from the whole file.
        case FileFormat.PARQUET if signature.inputs:
            return tuple(split_parquet(store, whole))
        case FileFormat.JSON_LINES if signature.inputs:
            return tuple(split_json_lines(store, whole))
        case _:
            return (whole,)


def _grouped(split: Iterable[tuple[Span, ...]], mini_batch_size: int) -> Iterator[tuple[Span, ...]]:
    """Group whole files in order; each part of a split file is a mini-batch by itself."""
    group: list[Span] = []
    for spans in split:
        if len(spans) == 1:
            group += spans
        if group and (len(group) == mini_batch_size or len(spans) != 1):
            yield tuple(group)
            group = []
        if len(spans) > 1:
            yield from ((span,) for span in spans)
    if group:
        yield tuple(group)
