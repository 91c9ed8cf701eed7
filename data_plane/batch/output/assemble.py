"""Assembles a job's output file from its parts in order. Memory does not grow with the file."""

from collections.abc import Iterable, Iterator

from data_plane.batch.output.formats import WRITERS
from modelyard.core.domain.batch import BatchSettings, OutputAction
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore


class PartMissing(Exception):
    """The part of a finished mini-batch is missing: an output without the part would look complete."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the predictions of a finished mini-batch are no longer in the object store ({key}); start the job again"
        )


def assemble(store: ObjectStore, part_keys: Iterable[str], output_key: str, settings: BatchSettings) -> None:
    """Write the output file, with the same bytes every time. Raises PartMissing, and writes no file then.

    With `summary_only` there is no file: the job itself counts its rows, as in Azure.
    """
    if settings.output_action is OutputAction.SUMMARY_ONLY:
        return
    chunks = WRITERS[settings.output_format].assemble(store, list(part_keys))
    store.put(output_key, _all_or_nothing(chunks))


def _all_or_nothing(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """An error in the stream makes the store discard the object."""
    try:
        yield from chunks
    except ObjectMissing as missing:
        raise PartMissing(str(missing.args[0])) from None
