"""What a request got wrong, in plain words: every violation at once up to a limit, never the input itself."""

import json
from dataclasses import dataclass
from typing import Any

from data_plane.scoring.errors import InvalidRequest

_MOST_LISTED = 50
_LONGEST_ECHO = 40


@dataclass(frozen=True, slots=True)
class Violation:
    column: str | None
    """Column, tensor or param, with the path inside a nested value; None where the whole body is meant."""
    row: int | None
    expected: str
    got: str

    @property
    def message(self) -> str:
        places = []
        if self.column is not None:
            places.append(self.column)
        if self.row is not None:
            places.append(f"row {self.row}")
        where = ", ".join(places) or "input_data"
        return f"{where}: expected {self.expected}, got {self.got}"


class SignatureViolations(InvalidRequest):
    """The request does not fit the model's signature."""

    code = "SignatureViolation"

    def __init__(self, violations: tuple[Violation, ...], more: int) -> None:
        super().__init__(_summary(violations, more))
        self.violations = violations
        self.more = more
        """Number of violations beyond those listed."""
        self.details = [
            {"code": self.code, "message": violation.message, "target": violation.column or "input_data"}
            for violation in violations
        ]

    @property
    def listing(self) -> str:
        return "; ".join(violation.message for violation in self.violations)


def _summary(violations: tuple[Violation, ...], more: int) -> str:
    count = len(violations) + more
    number = f"{count} violations" if count > 1 else "a violation"
    where = f"the first {len(violations)} are listed" if more else "see details"
    return f"the input does not fit the model's signature, {number} ({where}): {violations[0].message}"


class Findings:
    """Collects the violations of one request, and the columns that it has beyond the declared ones."""

    def __init__(self) -> None:
        self.extra_columns: tuple[str, ...] = ()
        self._listed: list[Violation] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, column: str | None, row: int | None, expected: str, got: str) -> None:
        self._count += 1
        if len(self._listed) < _MOST_LISTED:
            column = None if column is None else sendable(column)
            self._listed.append(Violation(column, row, sendable(expected), sendable(got)))

    def raise_if_any(self) -> None:
        if self._count:
            raise SignatureViolations(tuple(self._listed), self._count - len(self._listed))


def sendable(text: str) -> str:
    """Without halves of surrogate pairs, which no answer can hold."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def describe(value: Any) -> str:
    """One value in a few words, long ones cut."""
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            return f"the text {json.dumps(_shortened(value), ensure_ascii=False)}"
        case int() | float():
            return f"the number {_shortened(json.dumps(value))}"
        case bytes():
            return f"{len(value)} byte{'' if len(value) == 1 else 's'}"
        case list() | tuple():
            return f"a list of {len(value)} value{'' if len(value) == 1 else 's'}"
        case _:
            return "an object"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + "…"
