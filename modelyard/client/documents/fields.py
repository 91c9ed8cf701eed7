"""A noun as a table: each line is one field in az's YAML and the same field in ARM's JSON.

The table is read from left to right to make a body, from right to left to show a resource, and its left column alone
tells which keys of a file mean nothing here.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.client.documents.reading import Document, look_up, put
from modelyard.client.durations import iso_duration, seconds_of
from modelyard.client.errors import InvalidDocument

Convert = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Field:
    yaml: str
    arm: str
    to_arm: Convert = _same
    to_yaml: Convert = _same
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class FieldTable:
    fields: tuple[Field, ...]
    silent: frozenset[str] = frozenset({"$schema"})
    """Keys that say nothing to the platform and need no remark."""

    def body(self, document: Mapping[str, Any]) -> Document:
        """The ARM body that a YAML document asks for."""
        body: Document = {}
        for field in self.fields:
            value = None if field.read_only else look_up(document, field.yaml)
            if value is not None:
                put(body, field.arm, _converted(field, value))
        return body

    def document(self, resource: Mapping[str, Any]) -> Document:
        """A resource in az's words, in the table's order."""
        document: Document = {}
        for field in self.fields:
            value = look_up(resource, field.arm)
            if value is not None:
                put(document, field.yaml, field.to_yaml(value))
        return document

    def unknown(self, document: Mapping[str, Any]) -> list[str]:
        """The dotted paths of keys that no field explains."""
        return [path for path in _paths(document) if not self._explains(path)]

    def _explains(self, path: str) -> bool:
        known = (*(field.yaml for field in self.fields), *self.silent)
        return any(path == name or path.startswith(f"{name}.") or name.startswith(f"{path}.") for name in known)


def _converted(field: Field, value: Any) -> Any:
    try:
        return field.to_arm(value)
    except (ValueError, TypeError):
        raise InvalidDocument(f"{field.yaml} cannot be {value!r}") from None


def _paths(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in document.items():
        path = f"{prefix}{name}"
        yield path
        if isinstance(value, Mapping):
            yield from _paths(value, f"{path}.")


# Conversions.


def texts(mapping: Any) -> dict[str, str]:
    """Tags and environment variables: ARM wants strings where YAML writes 1 or true."""
    if not isinstance(mapping, Mapping):
        raise TypeError(mapping)
    return {str(name): _text(value) for name, value in mapping.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def version_text(value: Any) -> str:
    if isinstance(value, float):
        raise InvalidDocument(f"version: {value} is a fraction to YAML; write it in quotes")
    return str(value)


def percentages(mapping: Any) -> dict[str, int]:
    if not isinstance(mapping, Mapping):
        raise TypeError(mapping)
    return {str(name).lower(): int(percent) for name, percent in mapping.items()}


def duration_of_seconds(value: Any) -> str:
    return iso_duration(float(value))


def duration_of_milliseconds(value: Any) -> str:
    return iso_duration(float(value) / 1000)


def to_seconds(duration: Any) -> int | float:
    return _whole(seconds_of(str(duration)))


def to_milliseconds(duration: Any) -> int | float:
    return _whole(seconds_of(str(duration)) * 1000)


def _whole(number: float) -> int | float:
    rounded = round(number, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def on_or_off(value: Any) -> str:
    """YAML 1.1 reads on and off as true and false."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def pascal(value: Any) -> str:
    """system_assigned → SystemAssigned. What ARM already understands stays as it is."""
    return "".join(word[:1].upper() + word[1:] for word in str(value).split("_"))


def snake(value: Any) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in str(value)).removeprefix("_")


_AUTH_MODES = {"key": "Key", "aml_token": "AMLToken", "aad_token": "AADToken"}
_AUTH_WORDS = {arm.lower(): word for word, arm in _AUTH_MODES.items()}


def auth_mode(value: Any) -> str:
    return _AUTH_MODES.get(str(value).lower(), str(value))


def auth_word(value: Any) -> str:
    return _AUTH_WORDS.get(str(value).lower(), str(value))
