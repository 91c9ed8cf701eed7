"""Reads a span in chunks, which bound the memory, unless the span must be scored in one call."""

from collections.abc import Iterator

from data_plane.batch.failures import UnreadableFile
from data_plane.batch.input.chunks import Chunk
from data_plane.batch.input.csv_reader import read_csv
from data_plane.batch.input.formats import FileFormat, format_of, unsupported
from data_plane.batch.input.image_reader import read_image
from data_plane.batch.input.json_lines_reader import read_json_lines
from data_plane.batch.input.parquet_reader import read_parquet
from data_plane.batch.input.spans import Span
from data_plane.scoring.signature import CompiledSignature
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore

_READERS = {
    FileFormat.CSV: read_csv,
    FileFormat.JSON_LINES: read_json_lines,
    FileFormat.PARQUET: read_parquet,
    FileFormat.IMAGE: read_image,
}


def read_chunks(store: ObjectStore, span: Span, signature: CompiledSignature) -> Iterator[Chunk]:
    """Yield chunks, none of them empty.

    Raises SignatureViolations, with the file's row numbers, and UnreadableFile.
    """
    file_format = format_of(span.path)
    if file_format is None:
        raise UnreadableFile(unsupported(span.path))
    try:
        yield from _READERS[file_format](store, span, signature)
    except ObjectMissing:
        raise UnreadableFile("the file is no longer in the object store") from None
