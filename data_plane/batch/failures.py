"""What could not be scored, and why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from modelyard.core.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class FileFailure:
    """A file, or some of its rows."""

    file: str
    first_row: int | None
    rows: int | None
    reason: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "FileFailure":
        return cls(document["file"], document["first_row"], document["rows"], document["reason"])


class UnreadableFile(Exception):
    """The file itself is at fault; the text says how."""


class InvalidInput(InvalidRequest):
    """A job's input as a whole: nothing lies there, or nothing that could be scored."""

    code = "InvalidInput"
