"""What goes to a model worker to be scored, and what comes back, before and after the wire."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_plane.scoring.types import LogicalType


class Column(NamedTuple):
    """A tuple, because it is the quickest to make: a wide request has hundreds."""

    name: str | int
    type: LogicalType
    values: npt.NDArray[Any] | Sequence[Any]
    """An array or list with one entry per row. Entries of a `json` column are JSON values, not text."""
    nulls: npt.NDArray[np.bool_] | None = None
    """True where a value is missing. In `string` and `binary` columns a None says so by itself."""

    def cut(self, rows: slice) -> "Column":
        return Column(self.name, self.type, self.values[rows], None if self.nulls is None else self.nulls[rows])


@dataclass(frozen=True, slots=True)
class FramePayload:
    columns: tuple[Column, ...]
    rows: int


class BlockPayload(NamedTuple):
    """A frame whose columns are all of one type and lie in one matrix: what most requests are, and quick to join."""

    names: tuple[str | int, ...]
    type: LogicalType
    block: npt.NDArray[Any]
    """(columns, rows), each column in one piece. Nothing is missing in it but by a value of its own, as NaN is."""

    @property
    def rows(self) -> int:
        return int(self.block.shape[1])

    @property
    def columns(self) -> tuple[Column, ...]:
        return tuple(Column(name, self.type, values) for name, values in zip(self.names, self.block, strict=True))


@dataclass(frozen=True, slots=True)
class ArrayPayload:
    array: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class ArraysPayload:
    """Named tensors."""

    arrays: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True)
class JsonPayload:
    value: Any


Payload = FramePayload | BlockPayload | ArrayPayload | ArraysPayload | JsonPayload


@dataclass(frozen=True, slots=True)
class ArrayResult:
    array: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class FrameResult:
    columns: tuple[Column, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class JsonResult:
    text: bytes
    """Valid JSON already: the worker sees to that."""


Result = ArrayResult | FrameResult | JsonResult
