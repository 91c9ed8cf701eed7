"""Compiled rules, a rule per declared type, for single values and for columns."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from data_plane.scoring.signature.violations import Noun, ViolationCollector, describe
from data_plane.scoring.types import TYPES, WITH_NAN, LogicalType

ColumnValues = npt.NDArray[Any] | list[Any]
NONE_TYPE = type(None)
_NOT_A_TIME = "NaT"


class TypeMismatch(Exception):
    """The declared type does not hold the value.

    `path` leads to the wrong part of a nested value. `expected` and `got` replace the rule's and the value's own words.
    """

    def __init__(self, path: str = "", expected: str | None = None, got: str | None = None) -> None:
        super().__init__(path)
        self.path = path
        self.expected = expected
        self.got = got


class Rule(Protocol):
    @property
    def logical_type(self) -> LogicalType:
        """The type of a column of converted values, on the way to the model worker."""

    @property
    def type_name(self) -> str:
        """The type's name in the signature."""

    @property
    def expected(self) -> str:
        """The type in a violation, after the word "expected"."""

    @property
    def accepts_null(self) -> bool:
        """Whether null is a value of the type itself: NaN in a double, None in an AnyType."""

    def convert_all(self, values: Sequence[Any], kinds: set[type]) -> ColumnValues | None:
        """Convert all values at once. `kinds` are their Python types. None: the values need `convert_one` each."""

    def convert_array(self, array: npt.NDArray[Any]) -> ColumnValues | None:
        """Convert an array of booleans, numbers or datetimes without a missing one. None: see `convert_all`."""

    def convert_one(self, value: Any) -> Any:
        """Convert one value, never null. Raises TypeMismatch."""

    def to_column(self, values: list[Any]) -> ColumnValues:
        """Make a column of results of `convert_one`, row by row."""


def convert(
    rule: Rule, values: Sequence[Any], name: str | None, collector: ViolationCollector, *, null_allowed: bool
) -> tuple[ColumnValues, npt.NDArray[np.bool_] | None]:
    """Return the converted column and its null bitmap (True where a value is missing). Mismatches go to `collector`."""
    bulk = rule.convert_all(values, set(map(type, values)))
    if bulk is not None:
        return bulk, None
    return _one_by_one(rule, values, name, collector, null_allowed=null_allowed)


def is_missing(rule: Rule, value: Any) -> bool:
    """Return whether the value marks a missing one: null, or NaN and "NaT", which MLflow writes into its examples."""
    if type(value) is float:
        return value != value and rule.logical_type not in WITH_NAN
    return value is None or (value == _NOT_A_TIME and rule.logical_type == "datetime")


def _one_by_one(
    rule: Rule, values: Sequence[Any], name: str | None, collector: ViolationCollector, *, null_allowed: bool
) -> tuple[ColumnValues, npt.NDArray[np.bool_] | None]:
    converted = [TYPES[rule.logical_type].placeholder] * len(values)
    missing: list[int] = []
    for row, value in enumerate(values):
        if is_missing(rule, value):
            if not (rule.accepts_null or null_allowed):
                collector.add(name, row, rule.type_name, describe(value))
            elif not rule.accepts_null:
                missing.append(row)
            continue
        try:
            converted[row] = rule.convert_one(value)
        except TypeMismatch as mismatch:
            add_mismatch(rule, mismatch, value, name, row, collector)
    nulls = None
    if missing:
        nulls = np.zeros(len(values), dtype=bool)
        nulls[missing] = True
    return rule.to_column(converted), nulls


def add_mismatch(
    rule: Rule,
    mismatch: TypeMismatch,
    value: Any,
    name: str | None,
    row: int | None,
    collector: ViolationCollector,
    *,
    noun: Noun | None = None,
) -> None:
    where = (name or "") + mismatch.path or None
    collector.add(where, row, mismatch.expected or rule.expected, mismatch.got or describe(value), noun=noun)
