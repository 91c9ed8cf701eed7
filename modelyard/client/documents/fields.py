"""A noun as a table: each line maps one field of az's YAML to one field of ARM's JSON.

From left to right the table makes a request body, from right to left it shows a resource. A key of a file that is not
in the left column is unknown.
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
    """Keys that the platform ignores without a note."""

    def body(self, document: Mapping[str, Any]) -> Document:
        """Convert a YAML document to an ARM body."""
        body: Document = {}
        for field in self.fields:
            value = None if field.read_only else look_up(document, field.yaml)
            if value is not None:
                put(body, field.arm, _converted(field, value))
        return body

    def document(self, resource: Mapping[str, Any]) -> Document:
        """Convert an ARM resource to az's YAML, in the order of the table."""
        document: Document = {}
        for field in self.fields:
            value = look_up(resource, field.arm)
            if value is not None:
                put(document, field.yaml, field.to_yaml(value))
        return document

    def unknown(self, document: Mapping[str, Any]) -> list[str]:
        """Return the dotted paths of keys without a field in the table."""
        return [path for path in _paths(document) if not self._explains(path)]

    def _explains(self, path: str) -> bool:
        known = (*(field.yaml for field in self.fields), *self.silent)
        return any(path == name or path.startswith(f"{name}.") or name.startswith(f"{path}.") for name in known)


def _converted(field: Field, value: Any) -> Any:
    try:
        return field.to_arm(value)
    except (ValueError, TypeError):
        raise InvalidDocument(f"{field.yaml} has the invalid value {value!r}") from None


def _paths(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in document.items():
        path = f"{prefix}{name}"
        yield path
        if isinstance(value, Mapping):
            yield from _paths(value, f"{path}.")


# Conversions.


def texts(mapping: Any) -> dict[str, str]:
    """Convert tags and environment variables: ARM wants strings where YAML has 1 or true."""
    if not isinstance(mapping, Mapping):
        raise TypeError(mapping)
    return {str(name): _text(value) for name, value in mapping.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def version_text(value: Any) -> str:
    if isinstance(value, float):
        raise InvalidDocument(f"version {value} is a number to YAML: write the version in quotes")
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
    """Undo YAML 1.1, which reads on and off as true and false."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def pascal(value: Any) -> str:
    """Convert system_assigned to SystemAssigned. ARM's own spelling stays."""
    return "".join(word[:1].upper() + word[1:] for word in str(value).split("_"))


def snake(value: Any) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in str(value)).removeprefix("_")


_AUTH_MODES = {"key": "Key", "aml_token": "AMLToken", "aad_token": "AADToken"}
_AUTH_WORDS = {arm.lower(): word for word, arm in _AUTH_MODES.items()}


def auth_mode(value: Any) -> str:
    return _AUTH_MODES.get(str(value).lower(), str(value))


def auth_word(value: Any) -> str:
    return _AUTH_WORDS.get(str(value).lower(), str(value))
