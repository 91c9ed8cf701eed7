"""A job's predictions: a part per mini-batch, and an output file assembled from the parts in order.

The text of a value depends on the row alone: however the input is split into mini-batches, and however often a step is
repeated, the file has the same bytes. Each output format is an `OutputWriter`; `formats.py` has the port and the list.
"""

from data_plane.batch.output.assemble import PartMissing, assemble
from data_plane.batch.output.errors_file import write_errors
from data_plane.batch.output.parts import Mark, PartWriter
from data_plane.batch.output.predictions import WrongResult

__all__ = ["Mark", "PartMissing", "PartWriter", "WrongResult", "assemble", "write_errors"]
