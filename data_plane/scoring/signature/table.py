"""A table that was not JSON: CSV, Parquet, or the columns of an Open Inference request."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_plane.scoring.types import LogicalType


@dataclass(frozen=True, slots=True)
class TypedColumn:
    values: npt.NDArray[Any] | list[Any]
    """One entry per row: an array of booleans, numbers, datetime64 or numpy's texts and bytes, or a list of Python
    values (text, bytes, JSON values, None)."""
    nulls: npt.NDArray[np.bool_] | None = None
    """True where a value is missing. A list may have None in place of the bitmap."""
    kind: LogicalType | None = None
    """The type of an undeclared list of texts, found in more of the column than these rows."""


@dataclass(frozen=True, slots=True)
class Table:
    names: tuple[str, ...] | None
    """None: columns by position."""
    columns: tuple[TypedColumn, ...]
    rows: int
    is_text: bool = False
    """CSV: every value is text, or None where missing. "63" is a long, as in JSON, and a nested value is JSON text. An
    undeclared column has the dtype that pandas would infer."""
