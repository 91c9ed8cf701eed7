"""A job's one output file, out of its parts in their order. What memory holds does not grow with the file."""

from collections.abc import Iterable, Iterator, Sequence

from data_plane.batch.writing import sections
from data_plane.batch.writing.csv_output import csv_with_header
from data_plane.batch.writing.parquet_output import parquet
from data_plane.batch.writing.sections import Section
from modelyard.core.domain.batch import BatchSettings, OutputAction, OutputFormat
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore


class PartMissing(Exception):
    """A finished mini-batch's part is not in the object store: an output without it would look whole."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the predictions of a finished mini-batch are no longer in the object store ({key}); start the job again"
        )


def assemble(store: ObjectStore, part_keys: Iterable[str], output_key: str, settings: BatchSettings) -> None:
    """Write the output, the same bytes however often. Raises PartMissing, having written nothing.

    With `summary_only` there is nothing to write: the job itself counts its rows, as Azure's does.
    """
    if settings.output_action is OutputAction.SUMMARY_ONLY:
        return
    keys = list(part_keys)
    match settings.output_format:
        case OutputFormat.AZURE:
            chunks = _joined(store, keys)
        case OutputFormat.CSV_WITH_HEADER:
            chunks = csv_with_header(store, _sections(store, keys))
        case OutputFormat.PARQUET:
            chunks = parquet(store, _sections(store, keys))
    store.put(output_key, _whole(chunks))


def output_exists(store: ObjectStore, output_key: str) -> bool:
    return store.exists(output_key)


def _joined(store: ObjectStore, keys: Sequence[str]) -> Iterator[bytes]:
    """Azure's rows need nothing around them."""
    for key in keys:
        yield from store.get(key)


def _sections(store: ObjectStore, keys: Sequence[str]) -> list[Section]:
    try:
        return [section for key in keys for section in sections.read(store, key)]
    except ObjectMissing as missing:
        raise PartMissing(str(missing.args[0])) from None


def _whole(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The store keeps nothing of a stream that breaks off."""
    try:
        yield from chunks
    except ObjectMissing as missing:
        raise PartMissing(str(missing.args[0])) from None
