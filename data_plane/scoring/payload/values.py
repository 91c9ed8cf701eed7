"""The payload for a model worker and the result of a model worker, independent of the wire format."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_plane.scoring.types import LogicalType


class Column(NamedTuple):
    """A tuple rather than a dataclass for speed: a wide request has hundreds of columns."""

    name: str | int
    type: LogicalType
    values: npt.NDArray[Any] | Sequence[Any]
    """An array or list with one entry per row. Entries of a `json` column are JSON values, not text."""
    nulls: npt.NDArray[np.bool_] | None = None
    """True where a value is missing. A `string` or `binary` column may have None in place of the bitmap."""

    def cut(self, rows: slice) -> "Column":
        return Column(self.name, self.type, self.values[rows], None if self.nulls is None else self.nulls[rows])


class IndexLevel(NamedTuple):
    """Labels of a frame's rows, from the request: a level of pandas' index."""

    column: Column
    """The column's name is the level's position."""
    name: str | None = None
    zone: str | None = None
    """Time zone of datetimes, which are in UTC in `column`. None: datetimes without a zone, or other labels."""
    unit: str | None = None
    """Unit of datetimes in the model's index. None: nanoseconds, or other labels."""


Index = tuple[IndexLevel, ...]
"""Empty: the rows have pandas' default labels, 0, 1, 2, ..."""


@dataclass(frozen=True, slots=True)
class FramePayload:
    columns: tuple[Column, ...]
    rows: int
    row_index: Index = ()


class BlockPayload(NamedTuple):
    """A frame of columns of one type in one matrix: the most frequent payload, quick to concatenate."""

    names: tuple[str | int, ...]
    type: LogicalType
    block: npt.NDArray[Any]
    """Shape (columns, rows), each column contiguous. There is no null bitmap: a missing double is NaN."""
    row_index: Index = ()

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


class RawPayload(NamedTuple):
    """An unparsed request for a custom script's `run(raw_data)`. Joins `Payload` when workers support raw requests."""

    body: bytes
    headers: Mapping[str, str]


class ArrayResult(NamedTuple):
    """A tuple for speed, like the other results: every request makes one."""

    array: npt.NDArray[Any]


class FrameResult(NamedTuple):
    columns: tuple[Column, ...]
    rows: int


class JsonResult(NamedTuple):
    text: bytes
    """JSON from the worker. The worker writes valid JSON, but user code in its process can forge a frame."""


Result = ArrayResult | FrameResult | JsonResult

ResultStream = AsyncIterator[Result]
"""The results of a streamed request, in order: the return value of a streaming Replica."""
