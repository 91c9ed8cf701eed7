"""The measurements of one run over an input."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd

_AT_A_TIME = 1_000_000


@dataclass(frozen=True, slots=True)
class BatchRun:
    seconds: float
    megabytes: float
    """Peak memory of the largest process."""
    rows: int
    checksum: float
    """The sum of all predictions, so that a program cannot be fast by dropping rows."""

    @property
    def per_second(self) -> float:
        return self.rows / self.seconds

    @classmethod
    def of_csv(cls, seconds: float, megabytes: float, output: Path) -> Self:
        """Measure an output in Azure's format: row, prediction, file."""
        rows, checksum = 0, 0.0
        for part in pd.read_csv(output, header=None, usecols=[1], chunksize=_AT_A_TIME):
            rows += len(part)
            checksum += float(part[1].sum())
        return cls(seconds, megabytes, rows, checksum)
