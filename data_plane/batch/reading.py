"""A span to chunks: what a worker scores at once. Memory is bounded by the chunk, unless the span is whole."""

from collections.abc import Iterator

from data_plane.batch.chunks import Chunk
from data_plane.batch.csv_files import read_csv
from data_plane.batch.failures import UnreadableFile
from data_plane.batch.formats import FileFormat, format_of, unsupported
from data_plane.batch.images import read_image
from data_plane.batch.json_lines import read_json_lines
from data_plane.batch.parquet_files import read_parquet
from data_plane.batch.spans import Span
from data_plane.scoring.signature import CompiledSignature
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

__all__ = ["Chunk", "read"]

_READERS = {
    FileFormat.CSV: read_csv,
    FileFormat.JSON_LINES: read_json_lines,
    FileFormat.PARQUET: read_parquet,
    FileFormat.IMAGE: read_image,
}


def read(store: ObjectStore, span: Span, signature: CompiledSignature) -> Iterator[Chunk]:
    """Raises SignatureViolations, with the rows of the file, and UnreadableFile. No chunk is empty."""
    found = format_of(span.path)
    if found is None:
        raise UnreadableFile(unsupported(span.path))
    try:
        yield from _READERS[found](store, span, signature)
    except ObjectMissing:
        raise UnreadableFile("the file is no longer in the object store") from None
