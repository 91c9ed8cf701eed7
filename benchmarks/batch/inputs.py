"""Inputs of the same size, ten numbers per row: one file, a hundred files, or thousands of small files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import csv

from benchmarks.models import SavedModel

ONE_FILE = "one file"
_AT_A_TIME = 100_000
_DECIMALS = 6
_SMALL_FILES = 100
"""Rows per small file."""


@dataclass(frozen=True, slots=True)
class Layout:
    name: str
    files: int
    rows: int
    """Total of all files."""


def layouts(rows: int) -> list[Layout]:
    small = max(1, rows // 1000)
    return [
        Layout(ONE_FILE, 1, rows),
        Layout("100 files", 100, rows),
        Layout(f"{small:,} files of {_SMALL_FILES} rows", small, small * _SMALL_FILES),
    ]


def write_input(model: SavedModel, layout: Layout, folder: Path) -> Path:
    """Create the folder and write the CSV files. Returns the folder."""
    folder.mkdir()
    random = np.random.default_rng(layout.files)
    for number in range(layout.files):
        _write(list(model.rows.columns), layout.rows // layout.files, random, folder / f"{number:05d}.csv")
    return folder


def _write(names: list[str], rows: int, random: np.random.Generator, path: Path) -> None:
    schema = pa.schema([(name, pa.float64()) for name in names])
    with csv.CSVWriter(path, schema) as writer:
        for begin in range(0, rows, _AT_A_TIME):
            values: npt.NDArray[np.float64] = random.normal(size=(len(names), min(_AT_A_TIME, rows - begin)))
            writer.write_table(pa.table([pa.array(column) for column in values.round(_DECIMALS)], schema=schema))
