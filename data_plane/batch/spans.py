"""What a mini-batch reads: for each of its files, or parts of one, a note small enough to be kept in a row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.core.domain.documents import known_fields


@dataclass(frozen=True, slots=True)
class Span:
    """A file, or a part of it that the planner has cut."""

    path: str
    """As its sender named it: what messages and the output's `file` column say."""
    key: str
    first_row: int = 0
    """Of the file's rows, from 0."""
    rows: int | None = None
    """None: nobody has counted them yet."""
    start: int = 0
    """A byte of the file; of Parquet, a row group."""
    end: int | None = None
    """The byte, or row group, after the last one. None: the file's end."""
    header_end: int = 0
    """Of CSV that was cut: its first bytes, up to here, hold the names of the columns."""
    kinds: tuple[str, ...] | None = None
    """Of CSV that was cut, for a model without a signature: each column's type in the whole file."""
    is_whole: bool = False
    """Whether its rows must be scored in one go, because the model may look at all of a file's rows together."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Span":
        kinds = document.get("kinds")
        return cls(**{**known_fields(cls, document), "kinds": None if kinds is None else tuple(kinds)})
