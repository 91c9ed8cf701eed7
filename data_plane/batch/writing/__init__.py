"""A job's predictions: a part per mini-batch, and one file made of the parts in their order.

A value is written as its row was answered, never as its neighbours would have it: however the input is cut into
mini-batches, and however often a step is done again, the file has the same bytes.
"""

from data_plane.batch.writing.answers import WrongAnswer
from data_plane.batch.writing.errors_file import write_errors
from data_plane.batch.writing.output import PartMissing, assemble, output_exists
from data_plane.batch.writing.parts import Mark, PartWriter

__all__ = ["Mark", "PartMissing", "PartWriter", "WrongAnswer", "assemble", "output_exists", "write_errors"]
