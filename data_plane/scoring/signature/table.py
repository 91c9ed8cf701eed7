"""A table from a format other than JSON: CSV, Parquet, or the columns of an Open Inference request."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.payload.values import Index
from data_plane.scoring.types import LogicalType


@dataclass(frozen=True, slots=True)
class TypedColumn:
    values: npt.NDArray[Any] | list[Any]
    """One value per row: a numpy array of booleans, numbers, datetime64, texts or bytes, or a list of Python values
    (text, bytes, JSON values, None)."""
    nulls: npt.NDArray[np.bool_] | None = None
    """True where a value is missing. A None in a list is missing without a bitmap."""
    kind: LogicalType | None = None
    """The type inferred from the whole column, if `values` are undeclared texts and only a part of the column."""


@dataclass(frozen=True, slots=True)
class Table:
    names: tuple[str, ...] | None
    """None: the columns have an order only."""
    columns: tuple[TypedColumn, ...]
    rows: int
    is_text: bool = False
    """CSV: every value is text, or None for a missing value. As in JSON, "63" is a valid long. A nested value is JSON
    text. An undeclared column gets the dtype that pandas would infer."""
    row_index: Index = ()
    """The frame's row labels, apart from the columns."""
