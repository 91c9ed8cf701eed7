"""Results written as in a job: parts into a store, and the output assembled from the parts."""

import contextlib
import io
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data_plane.batch.output import PartWriter, assemble
from data_plane.scoring.payload.values import Result
from modelyard.core.adapters.folder_store import FolderStore
from modelyard.core.domain.batch import BatchSettings, OutputFormat

OUTPUT = "datastores/workspaceblobstore/azureml/job-run/score/predictions.csv"
AZURE_NAMES = ["row", "prediction", "file"]


class Answered(NamedTuple):
    """The model's result for some rows of a file."""

    rows: int
    result: Result
    file: str = "heart.csv"
    first_row: int = 0


def part(answers: Sequence[Answered], settings: BatchSettings, names: Sequence[str] | None = None) -> bytes:
    writer = PartWriter(settings, names)
    for answered in answers:
        writer.add(answered.file, answered.first_row, answered.rows, answered.result)
    return b"".join(writer.content())


class Output:
    """The output of mini-batches, each a list of results."""

    def __init__(self, folder: Path, output_format: OutputFormat, names: Sequence[str] | None = None) -> None:
        self.store = FolderStore(folder)
        self.settings = BatchSettings(output_format=output_format)
        self._names = names

    def of(self, *mini_batches: Sequence[Answered]) -> bytes:
        keys = []
        for number, answers in enumerate(mini_batches):
            keys.append(f"batch/7/{number}")
            self.store.put(keys[-1], [part(answers, self.settings, self._names)])
        assemble(self.store, keys, OUTPUT, self.settings)
        return b"".join(self.store.get(OUTPUT))

    def table(self, *mini_batches: Sequence[Answered]) -> pa.Table:
        return pq.read_table(io.BytesIO(self.of(*mini_batches)))


def azure_frame(content: bytes, **options: object) -> pd.DataFrame:
    """Read the file as in Azure's notebooks."""
    return pd.read_csv(io.BytesIO(content), names=AZURE_NAMES, **options)


@contextlib.contextmanager
def most_memory() -> Iterator[Callable[[], int]]:
    """The most bytes at once of Python and numpy, and of Arrow."""
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    peaks = [0]
    try:
        yield lambda: peaks[0]
        peaks[0] = tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)
