"""A job's files into mini-batches: small files together, large ones cut by one pass over them.

The plan never changes while the job lives. A file no larger than one block is not looked at: reading it is as quick as
planning would be, and thousands of them are planned at once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from data_plane.batch import records
from data_plane.batch.csv_cuts import cut_csv
from data_plane.batch.failures import FileFailure, UnreadableFile
from data_plane.batch.formats import FileFormat, compression_of, format_of, unsupported
from data_plane.batch.json_lines import cut_json_lines
from data_plane.batch.listing import list_input
from data_plane.batch.parquet_files import cut_parquet
from data_plane.batch.spans import Span
from data_plane.scoring.signature import CompiledSignature, TensorSpec
from modelyard.core.domain.batch import InputFile
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

__all__ = ["Plan", "list_input", "plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    mini_batches: tuple[tuple[Span, ...], ...]
    rows: int | None
    """None: some files have not been counted."""
    failures: tuple[FileFailure, ...]
    """Files that cannot be read, as far as that is known already."""


def plan(
    store: ObjectStore,
    files: Sequence[InputFile],
    *,
    mini_batch_size: int,
    row_by_row: bool,
    signature: CompiledSignature,
) -> Plan:
    """`row_by_row`: whether the model's answer for a row is the same whatever rows come with it."""
    failures: list[FileFailure] = []
    cut: list[tuple[Span, ...]] = []
    may_cut = row_by_row and _takes_any_number_of_rows(signature)
    for file in files:
        try:
            cut.append(_spans(store, file, signature, may_cut=may_cut))
        except UnreadableFile as unreadable:
            failures.append(FileFailure(file.path, None, None, str(unreadable)))
        except ObjectMissing:
            failures.append(FileFailure(file.path, None, None, "the file is no longer in the object store"))
    counts = [span.rows for spans in cut for span in spans]
    rows = None if None in counts else sum(count for count in counts if count is not None)
    return Plan(tuple(_grouped(cut, mini_batch_size)), rows, tuple(failures))


def _takes_any_number_of_rows(signature: CompiledSignature) -> bool:
    """A tensor may be declared to have so many."""
    return all(not isinstance(spec, TensorSpec) or spec.shape[:1] == (-1,) for spec in signature.inputs)


def _spans(store: ObjectStore, file: InputFile, signature: CompiledSignature, *, may_cut: bool) -> tuple[Span, ...]:
    found = format_of(file.path)
    if found is None:
        raise UnreadableFile(unsupported(file.path))
    whole = Span(file.path, file.key, is_whole=not may_cut)
    if not may_cut or compression_of(file.path) is not None or file.size <= records.BLOCK_BYTES:
        return (whole,)
    match found:
        case FileFormat.CSV:
            return tuple(cut_csv(store, whole, signature))
        # Without a signature, the parts of other files are not known to have the types of the whole.
        case FileFormat.PARQUET if signature.inputs:
            return tuple(cut_parquet(store, whole))
        case FileFormat.JSON_LINES if signature.inputs:
            return tuple(cut_json_lines(store, whole))
        case _:
            return (whole,)


def _grouped(cut: Iterable[tuple[Span, ...]], mini_batch_size: int) -> Iterator[tuple[Span, ...]]:
    """Files in their order; each part of one that was cut is a mini-batch by itself."""
    group: list[Span] = []
    for spans in cut:
        if len(spans) == 1:
            group += spans
        if group and (len(group) == mini_batch_size or len(spans) != 1):
            yield tuple(group)
            group = []
        if len(spans) > 1:
            yield from ((span,) for span in spans)
    if group:
        yield tuple(group)
