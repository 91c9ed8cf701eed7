"""A line for pip, wherever it was written."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PipLine:
    text: str
    where: str
    """What the user is pointed at: "conda.yaml, line 7"."""
