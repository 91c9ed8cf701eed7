"""The port of output formats (rows become blocks of a part, parts become the output file), and the formats by name."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from data_plane.batch.output.csv_output import AzureCsvWriter, CsvWriter
from data_plane.batch.output.parquet_output import ParquetWriter
from data_plane.batch.output.predictions import Columns, Predictions
from modelyard.core.domain.batch import OutputFormat
from modelyard.core.ports.object_store import ObjectStore


class OutputWriter(Protocol):
    """An output format. A block is a few megabytes of encoded rows, in a type of the writer's choice."""

    has_sections: bool
    """Whether a part begins with a list of sections (`sections.py`), from which the output's columns follow."""

    def columns(self, predictions: Predictions, rows: int, output_names: Sequence[str]) -> Columns:
        """Name and order the columns of some rows' predictions."""

    def encode(self, file: str, first_row: int, rows: int, columns: Columns) -> Any:
        """Encode rows of a file, from row `first_row` on, as a block."""

    def size(self, block: Any) -> int:
        """Return about how many bytes a block has."""

    def can_share_section(self, block: Any, other: Any) -> bool:
        """Return whether two blocks with the same column names can stand in one section."""

    def join(self, blocks: Sequence[Any]) -> bytes: ...

    def column_types(self, columns: Columns) -> list[frozenset[str]]:
        """Return the types of each column's values for the section list; empty where the format has no types."""

    def assemble(self, store: ObjectStore, part_keys: Sequence[str]) -> Iterator[bytes]:
        """Yield the output file. Raises ObjectMissing for a missing part."""


WRITERS: Mapping[OutputFormat, OutputWriter] = {
    OutputFormat.AZURE: AzureCsvWriter(),
    OutputFormat.CSV_WITH_HEADER: CsvWriter(),
    OutputFormat.PARQUET: ParquetWriter(),
}
