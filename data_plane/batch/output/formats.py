"""The output formats, by the name that a deployment's settings give them."""

from collections.abc import Mapping

from data_plane.batch.output.csv_output import AzureCsvWriter, CsvWriter
from data_plane.batch.output.parquet_output import ParquetWriter
from data_plane.batch.output.writer import OutputWriter
from modelyard.core.domain.batch import OutputFormat

WRITERS: Mapping[OutputFormat, OutputWriter] = {
    OutputFormat.AZURE: AzureCsvWriter(),
    OutputFormat.CSV_WITH_HEADER: CsvWriter(),
    OutputFormat.PARQUET: ParquetWriter(),
}
