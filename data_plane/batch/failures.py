"""Input that could not be scored, and why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.core.domain.storable_text import storable_text
from modelyard.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class FileFailure:
    """A failed file, or failed rows of a file."""

    file: str
    first_row: int | None
    rows: int | None
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", storable_text(self.file))
        object.__setattr__(self, "reason", storable_text(self.reason))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "FileFailure":
        return cls(document["file"], document["first_row"], document["rows"], document["reason"])


class UnreadableFile(Exception):
    """The file itself is at fault; the text says why."""


class InvalidInput(InvalidRequest):
    """The job's input as a whole is at fault: it is missing or has no file that could be scored."""

    code = "InvalidInput"
