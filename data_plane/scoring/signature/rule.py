"""One compiled rule per declared type: what it holds, one value at a time and many at once."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from data_plane.scoring.signature.violations import Findings, describe
from data_plane.scoring.types import TYPES, LogicalType

Stored = npt.NDArray[Any] | list[Any]
NONE_TYPE = type(None)


class Unheld(Exception):
    """The declared type does not hold the value. Inside a nested value, `path` says where and the rest says why."""

    def __init__(self, path: str = "", expected: str | None = None, got: str | None = None) -> None:
        super().__init__(path)
        self.path = path
        self.expected = expected
        self.got = got


class Rule(Protocol):
    @property
    def logical_type(self) -> LogicalType:
        """How a column of such values travels to the model worker."""

    @property
    def expected(self) -> str:
        """The type in plain words, with its article."""

    @property
    def holds_null(self) -> bool:
        """Whether null is a value of the type itself: NaN in a double, None in an AnyType."""

    def many(self, values: Sequence[Any], kinds: set[type]) -> Stored | None:
        """All of `values`, whose Python types are `kinds`, at once; None when they need a look one by one."""

    def of_array(self, array: npt.NDArray[Any]) -> Stored | None:
        """An array of booleans, numbers or datetimes without missing ones; None when its values need a look."""

    def one(self, value: Any) -> Any:
        """The value as the type holds it. Raises Unheld. Never asked about null."""

    def stored(self, values: list[Any]) -> Stored:
        """What `one` returned, row by row, as a column keeps it."""


def convert(
    rule: Rule, values: Sequence[Any], name: str | None, findings: Findings, *, null_allowed: bool
) -> tuple[Stored, npt.NDArray[np.bool_] | None]:
    """The values as the type holds them, and where they are missing. What it does not hold goes to `findings`."""
    bulk = rule.many(values, set(map(type, values)))
    if bulk is not None:
        return bulk, None
    return _one_by_one(rule, values, name, findings, null_allowed=null_allowed)


def _one_by_one(
    rule: Rule, values: Sequence[Any], name: str | None, findings: Findings, *, null_allowed: bool
) -> tuple[Stored, npt.NDArray[np.bool_] | None]:
    converted = [TYPES[rule.logical_type].placeholder] * len(values)
    missing: list[int] = []
    for row, value in enumerate(values):
        if value is None:
            if not (rule.holds_null or null_allowed):
                findings.add(name, row, rule.expected, describe(value))
            elif not rule.holds_null:
                missing.append(row)
            continue
        try:
            converted[row] = rule.one(value)
        except Unheld as unheld:
            add_unheld(rule, unheld, value, name, row, findings)
    nulls = None
    if missing:
        nulls = np.zeros(len(values), dtype=bool)
        nulls[missing] = True
    return rule.stored(converted), nulls


def add_unheld(rule: Rule, unheld: Unheld, value: Any, name: str | None, row: int | None, findings: Findings) -> None:
    where = (name or "") + unheld.path or None
    findings.add(where, row, unheld.expected or rule.expected, unheld.got or describe(value))
