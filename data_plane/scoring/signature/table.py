"""A table that was not JSON: CSV, Parquet, or the columns of an Open Inference request."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.types import LogicalType


@dataclass(frozen=True, slots=True)
class TypedColumn:
    values: npt.NDArray[Any] | list[Any]
    """One per row: an array of booleans, numbers, datetime64 or numpy's texts and bytes, or a list of Python values
    (text, bytes, JSON values, None)."""
    nulls: npt.NDArray[np.bool_] | None = None
    """True where a value is missing. In a list a None says so by itself."""
    kind: LogicalType | None = None
    """Of a list of texts that no signature declares: what a look at more of the column than these rows has found."""


@dataclass(frozen=True, slots=True)
class Table:
    names: tuple[str, ...] | None
    """None where the columns have only an order."""
    columns: tuple[TypedColumn, ...]
    rows: int
    is_text: bool = False
    """CSV: every value is text, or None where it is missing. "63" is a long then, as in JSON, and a nested value is
    JSON text; a column without a signature has the dtype that pandas would infer."""
