"""What one run over an input came to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pandas as pd

_AT_A_TIME = 1_000_000


@dataclass(frozen=True, slots=True)
class Took:
    seconds: float
    megabytes: float
    """Of the largest process."""
    rows: int
    checksum: float
    """The sum of all predictions: nobody is quick by leaving some out."""

    @property
    def per_second(self) -> float:
        return self.rows / self.seconds

    @classmethod
    def of_csv(cls, seconds: float, megabytes: float, output: Path) -> Self:
        """Of an output in Azure's form: row, prediction, file."""
        rows, checksum = 0, 0.0
        for part in pd.read_csv(output, header=None, usecols=[1], chunksize=_AT_A_TIME):
            rows += len(part)
            checksum += float(part[1].sum())
        return cls(seconds, megabytes, rows, checksum)
