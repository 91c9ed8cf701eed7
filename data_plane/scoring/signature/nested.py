"""Rules for values made of values: Array, Object, Map, AnyType and the SparkML vector, checked down to each leaf.

A leaf takes its declared type: [1, 2] is an Array(double) of 1.0 and 2.0, base64 is bytes, ISO 8601 a moment.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_plane.scoring.signature.json_values import is_portable
from data_plane.scoring.signature.numbers import DOUBLE
from data_plane.scoring.signature.rule import Rule, Stored, Unheld
from data_plane.scoring.signature.texts import DatetimeRule
from data_plane.scoring.signature.violations import describe
from data_plane.scoring.types import LogicalType

JSON_TYPE: Final = "json"
# Of a caller's own key, in the place of a violation.
_LONGEST_KEY = 40


@dataclass(frozen=True, slots=True)
class _JsonRule:
    logical_type: LogicalType = "json"
    holds_null: bool = False

    def many(self, values: Sequence[Any], kinds: set[type]) -> Stored | None:
        return None

    def of_array(self, array: npt.NDArray[Any]) -> Stored | None:
        return None

    def stored(self, values: list[Any]) -> Stored:
        return values


@dataclass(frozen=True, slots=True)
class AnyRule(_JsonRule):
    expected: str = "any JSON value that is not nested too deep"
    holds_null: bool = True

    def many(self, values: Sequence[Any], kinds: set[type]) -> Stored | None:
        listed = list(values)
        return listed if is_portable(listed) else None

    def one(self, value: Any) -> Any:
        if not is_portable(value):
            raise Unheld
        return value


@dataclass(frozen=True, slots=True)
class Member:
    """What stands in an Array, a Map or a property of an Object."""

    rule: Rule
    null_allowed: bool = False

    def held(self, value: Any, path: str) -> Any:
        if value is None:
            if self.rule.holds_null or self.null_allowed:
                return None
            raise Unheld(path, self.rule.expected, describe(value))
        try:
            held = self.rule.one(value)
        except Unheld as unheld:
            expected, got = unheld.expected or self.rule.expected, unheld.got or describe(value)
            raise Unheld(path + unheld.path, expected, got) from None
        return np.datetime64(held, "ns") if isinstance(self.rule, DatetimeRule) else held


@dataclass(frozen=True, slots=True)
class ArrayRule(_JsonRule):
    items: Member = Member(AnyRule())

    @property
    def expected(self) -> str:
        return f"a list, each item {self.items.rule.expected}"

    def one(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise Unheld
        return [self.items.held(item, f"[{position}]") for position, item in enumerate(value)]


@dataclass(frozen=True, slots=True)
class MapRule(_JsonRule):
    values: Member = Member(AnyRule())

    @property
    def expected(self) -> str:
        return f"an object, each value {self.values.rule.expected}"

    def one(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Unheld
        return {key: self.values.held(entry, f".{key[:_LONGEST_KEY]}") for key, entry in value.items()}


@dataclass(frozen=True, slots=True)
class Property:
    member: Member
    required: bool


@dataclass(frozen=True, slots=True)
class ObjectRule(_JsonRule):
    """Unlike a frame's surplus columns, an undeclared property is refused, as MLflow does."""

    properties: Mapping[str, Property] | None = None

    @property
    def expected(self) -> str:
        return f"an object with the properties {', '.join(map(repr, self._declared))}"

    @property
    def _declared(self) -> Mapping[str, Property]:
        return self.properties or {}

    def one(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Unheld
        for name, declared in self._declared.items():
            if declared.required and name not in value:
                raise Unheld(f".{name}", declared.member.rule.expected, "no such property")
        return {name: self._property(name).held(entry, f".{name}") for name, entry in value.items()}

    def _property(self, name: str) -> Member:
        declared = self._declared.get(name)
        if declared is None:
            raise Unheld(f".{name[:_LONGEST_KEY]}", self.expected, "a property that is not declared")
        return declared.member


def depth_of_array(rule: Rule) -> int:
    """How many lists are nested in one another at most; 0 for what is no Array."""
    if not isinstance(rule, ArrayRule):
        return 0
    items = rule.items.rule
    return sys.maxsize if isinstance(items, AnyRule) else 1 + depth_of_array(items)


def is_any(rule: Rule) -> bool:
    return isinstance(rule, AnyRule)


ANY = AnyRule()
SPARKML_VECTOR = ArrayRule(items=Member(DOUBLE))
