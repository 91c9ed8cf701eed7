"""The violations of a request: every violation up to a limit. Values of the input are cut to a few characters."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from data_plane.scoring.errors import InvalidRequest
from data_plane.scoring.signature.header_hints import header_hint

_MAX_LISTED = 50
_MAX_NAMES = 5
_MAX_ECHO = 40

Noun = Literal["column", "tensor", "input", "param"]


@dataclass(frozen=True, slots=True)
class Violation:
    column: str | None
    """Column, tensor or param, with the path inside a nested value. None: the whole body."""
    row: int | None
    expected: str
    got: str
    noun: Noun = "column"
    is_missing: bool = False
    """Whether the body lacks the required column. `expected` is then the column's type, `got` the body's own names."""

    @property
    def message(self) -> str:
        if self.is_missing:
            return f"missing required {self.noun} {self.column!r} ({self.expected}); the input has {self.got}"
        places = []
        if self.column is not None:
            places.append(f"{self.noun} {self.column.removeprefix('params.')!r}")
        if self.row is not None:
            places.append(f"row {self.row}")
        where = ", ".join(places) or "input_data"
        return f"{where}: expected {self.expected}, got {self.got}"


class SignatureViolations(InvalidRequest):
    """The request does not fit the model's signature."""

    code = "SignatureViolation"

    def __init__(self, violations: tuple[Violation, ...], more: int, missing: int = 0, hint: str = "") -> None:
        super().__init__(_summary(violations, more, missing, hint))
        self.violations = violations
        self.missing = missing
        """Number of missing columns, those among `more` included."""
        self.hint = hint
        """Probable cause of missing columns, to follow their sentence. Empty: unknown."""
        self.more = more
        """Number of violations beyond the listed violations."""
        self.details = [
            {"code": self.code, "message": violation.message, "target": violation.column or "input_data"}
            for violation in violations
        ]

    @property
    def listing(self) -> str:
        return "; ".join(self.sentences)

    @property
    def sentences(self) -> list[str]:
        """A sentence per violation, and one for all missing columns."""
        return _sentences(self.violations, self.missing, self.hint)


def _sentences(violations: Sequence[Violation], count: int, hint: str) -> list[str]:
    missing = [violation for violation in violations if violation.is_missing]
    found = [violation.message for violation in violations if not violation.is_missing]
    return [_missing_sentence(missing, max(count, len(missing))) + hint, *found] if missing else found


def _missing_sentence(missing: Sequence[Violation], count: int) -> str:
    if count == 1:
        return missing[0].message
    names = [f"{violation.column!r} ({violation.expected})" for violation in missing]
    got = list(dict.fromkeys(violation.got for violation in missing))
    listed = ", ".join(got[:_MAX_NAMES]) + (" and others" if len(got) > _MAX_NAMES else "")
    return f"missing required {missing[0].noun}s {_listing(names, count)}; the input has {listed}"


def _listing(names: Sequence[str], count: int) -> str:
    listed = names[:_MAX_NAMES]
    return ", ".join(listed) + (f" and {count - len(listed)} more" if count > len(listed) else "")


def _summary(violations: tuple[Violation, ...], more: int, missing: int, hint: str) -> str:
    count = len(violations) + more
    number = f"{count} violations" if count > 1 else "a violation"
    where = f"the first {len(violations)} are listed" if more else "see details"
    return (
        f"the input does not fit the model's signature, {number} ({where}): {_sentences(violations, missing, hint)[0]}"
    )


class ViolationCollector:
    """The violations of one request, and the columns and params of the request beyond the declared ones."""

    def __init__(self, noun: Noun = "column") -> None:
        self.extra_columns: tuple[str, ...] = ()
        self.extra_params: tuple[str, ...] = ()
        self.has_header = False
        """Whether the columns' names are the first line of a text."""
        self._noun = noun
        self._hint = ""
        self._missing = 0
        self._listed: list[Violation] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, column: str | None, row: int | None, expected: str, got: str, *, noun: Noun | None = None) -> None:
        self._count += 1
        if len(self._listed) < _MAX_LISTED:
            column = None if column is None else encodable(column)
            self._listed.append(Violation(column, row, encodable(expected), encodable(got), noun or self._noun))

    def add_missing(self, column: str, type_name: str, present: Sequence[str]) -> None:
        """Note a required column that the body lacks. `present`: the declared columns that the body has."""
        self._count += 1
        self._missing += 1
        if self.has_header and not present and not self._hint:
            self._hint = header_hint(self.extra_columns)
        if len(self._listed) < _MAX_LISTED:
            got = encodable(_names_like(column, self.extra_columns, present))
            self._listed.append(Violation(encodable(column), None, type_name, got, self._noun, is_missing=True))

    def raise_if_any(self) -> None:
        if self._count:
            raise SignatureViolations(tuple(self._listed), self._count - len(self._listed), self._missing, self._hint)


def _names_like(missing: str, extra: Sequence[str], present: Sequence[str]) -> str:
    """List the names that differ from the missing name in spelling only, else the undeclared names, else all names."""
    folded = _folded(missing)
    names = [name for name in extra if _folded(name) == folded] or extra or present
    if not names:
        return "none"
    return _listing([repr(_shortened(name)) for name in names[:_MAX_NAMES]], len(names))


def _folded(name: str) -> str:
    return "".join(filter(str.isalnum, name)).casefold()


def encodable(text: str) -> str:
    """Replace halves of surrogate pairs: a response in UTF-8 cannot contain them."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def describe(value: Any) -> str:
    """Describe one value in a few words. Long values are cut."""
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
    return text if len(text) <= _MAX_ECHO else text[:_MAX_ECHO] + "…"
