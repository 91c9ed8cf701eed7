"""Spans: the files, or parts of a file, that a mini-batch reads. A span is small enough for a database row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.core.domain.documents import known_fields


@dataclass(frozen=True, slots=True)
class Span:
    """A file, or a part of a large file that planning has split."""

    path: str
    """The user's name for the file, in messages and in the output's `file` column."""
    key: str
    first_row: int = 0
    """Row number within the file, from 0."""
    rows: int | None = None
    """None: not counted yet."""
    start: int = 0
    """First byte; for Parquet, first row group."""
    end: int | None = None
    """End of the bytes, or row groups, exclusive. None: the file's end."""
    header_end: int = 0
    """For a part of a CSV file: end of the header in the file."""
    kinds: tuple[str, ...] | None = None
    """For a part of a CSV file and a model without a signature: each column's type in the whole file."""
    is_whole: bool = False
    """Whether one call must score all rows, because the model may look at all of a file's rows together."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Span":
        kinds = document.get("kinds")
        return cls(**{**known_fields(cls, document), "kinds": None if kinds is None else tuple(kinds)})
