"""Rules for nested values: Array, Object, Map, AnyType and the SparkML vector, enforced down to each leaf.

A leaf becomes the declared type: [1, 2] as Array(double) is [1.0, 2.0], base64 becomes bytes, ISO 8601 a timestamp.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from data_plane.scoring.signature.json_values import is_portable
from data_plane.scoring.signature.numbers import DOUBLE
from data_plane.scoring.signature.rule import ColumnValues, Rule, TypeMismatch
from data_plane.scoring.signature.texts import DatetimeRule
from data_plane.scoring.signature.violations import describe
from data_plane.scoring.types import LogicalType

JSON_TYPE: Final = "json"
# A caller's key is cut to so many characters in the path of a violation.
_MAX_KEY_LENGTH = 40


@dataclass(frozen=True, slots=True)
class _JsonRule:
    logical_type: LogicalType = "json"
    accepts_null: bool = False

    def convert_all(self, values: Sequence[Any], kinds: set[type]) -> ColumnValues | None:
        return None

    def convert_array(self, array: npt.NDArray[Any]) -> ColumnValues | None:
        return None

    def to_column(self, values: list[Any]) -> ColumnValues:
        return values


@dataclass(frozen=True, slots=True)
class AnyRule(_JsonRule):
    type_name: str = "any"
    expected: str = "any JSON value that is not nested too deep"
    accepts_null: bool = True

    def convert_all(self, values: Sequence[Any], kinds: set[type]) -> ColumnValues | None:
        listed = list(values)
        return listed if is_portable(listed) else None

    def convert_one(self, value: Any) -> Any:
        if not is_portable(value):
            raise TypeMismatch
        return value


@dataclass(frozen=True, slots=True)
class Member:
    """The declared type of an Array's items, a Map's values or an Object's property."""

    rule: Rule
    null_allowed: bool = False

    def convert(self, value: Any, path: str) -> Any:
        if value is None:
            if self.rule.accepts_null or self.null_allowed:
                return None
            raise TypeMismatch(path, self.rule.type_name, describe(value))
        try:
            converted = self.rule.convert_one(value)
        except TypeMismatch as mismatch:
            expected, got = mismatch.expected or self.rule.expected, mismatch.got or describe(value)
            raise TypeMismatch(path + mismatch.path, expected, got) from None
        return np.datetime64(converted, "ns") if isinstance(self.rule, DatetimeRule) else converted


@dataclass(frozen=True, slots=True)
class ArrayRule(_JsonRule):
    items: Member = Member(AnyRule())
    type_name: str = "array"

    @property
    def expected(self) -> str:
        return f"list, each item {self.items.rule.expected}"

    def convert_one(self, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise TypeMismatch
        return [self.items.convert(item, f"[{position}]") for position, item in enumerate(value)]


@dataclass(frozen=True, slots=True)
class MapRule(_JsonRule):
    values: Member = Member(AnyRule())
    type_name: str = "map"

    @property
    def expected(self) -> str:
        return f"object, each value {self.values.rule.expected}"

    def convert_one(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TypeMismatch
        return {key: self.values.convert(entry, f".{key[:_MAX_KEY_LENGTH]}") for key, entry in value.items()}


@dataclass(frozen=True, slots=True)
class Property:
    member: Member
    required: bool


@dataclass(frozen=True, slots=True)
class ObjectRule(_JsonRule):
    """Undeclared properties are refused, as in MLflow; extra columns of a frame are dropped."""

    properties: Mapping[str, Property] | None = None
    type_name: str = "object"

    @property
    def expected(self) -> str:
        return f"object with the properties {', '.join(map(repr, self._declared))}"

    @property
    def _declared(self) -> Mapping[str, Property]:
        return self.properties or {}

    def convert_one(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise TypeMismatch
        for name, declared in self._declared.items():
            if declared.required and name not in value:
                raise TypeMismatch(f".{name}", declared.member.rule.expected, "an object without the property")
        return {name: self._property(name).convert(entry, f".{name}") for name, entry in value.items()}

    def _property(self, name: str) -> Member:
        declared = self._declared.get(name)
        if declared is None:
            raise TypeMismatch(f".{name[:_MAX_KEY_LENGTH]}", self.expected, "an undeclared property")
        return declared.member


def depth_of_array(rule: Rule) -> int:
    """Return the greatest depth of nested lists under the rule. 0: the rule is not an Array."""
    if not isinstance(rule, ArrayRule):
        return 0
    items = rule.items.rule
    return sys.maxsize if isinstance(items, AnyRule) else 1 + depth_of_array(items)


def is_any(rule: Rule) -> bool:
    return isinstance(rule, AnyRule)


ANY = AnyRule()
SPARKML_VECTOR = ArrayRule(items=Member(DOUBLE))
