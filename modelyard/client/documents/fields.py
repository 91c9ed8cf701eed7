"""A noun as a table: each line maps one field of az's YAML to one field of ARM's JSON.

From left to right the table makes a request body, from right to left it shows a resource. A key of a file that is not
in the left column is unknown. Errors and notes of the platform name ARM's fields; `in_yaml_words` names the reader's.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from modelyard.client.documents.reading import Document, look_up, put
from modelyard.client.durations import iso_duration, seconds_of
from modelyard.client.errors import InvalidDocument

Convert = Callable[[Any], Any]
_LONGEST_VALUE = 80


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Field:
    yaml: str
    arm: str
    to_arm: Convert = _same
    """Raises ValueError with the accepted values, such as "must be a whole number"."""
    to_yaml: Convert = _same
    read_only: bool = False
    beside_body: bool = False
    """The client itself uses the field: for the path of the request, or to find files."""


@dataclass(frozen=True)
class FieldTable:
    fields: tuple[Field, ...]
    other_keys: frozenset[str] = frozenset({"$schema"})
    """Keys without a field of ARM that the client reads."""

    def body(self, document: Mapping[str, Any]) -> Document:
        """Convert a YAML document to an ARM body. Raises InvalidDocument, which names all fields that are wrong."""
        body: Document = {}
        wrong = list(dict.fromkeys(self._scalars_for_mappings(document)))
        for field in self.fields:
            value = None if field.read_only or field.beside_body else look_up(document, field.yaml)
            if value is None:
                continue
            try:
                put(body, field.arm, field.to_arm(value))
            except ValueError as error:
                wrong.append(f"{field.yaml} {error}, not {_shown(value)}")
        if wrong:
            raise InvalidDocument("; ".join(wrong))
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
        """Return the dotted paths of keys without a field in the table. A path stands for the keys below."""
        return [
            path
            for path in _paths(document)
            if not self._explains(path) and ("." not in path or self._explains(path.rpartition(".")[0]))
        ]

    def read_only(self, document: Mapping[str, Any]) -> list[str]:
        """Return the fields of the document that the platform alone sets."""
        return [field.yaml for field in self.fields if field.read_only and look_up(document, field.yaml) is not None]

    def in_yaml_words(self, sentence: str) -> str:
        """Replace ARM's names of fields ("properties.outputAction", "outputAction") in a sentence of the platform."""
        return self._arm_names.sub(lambda found: self._yaml_names[found.group()], sentence)

    def words_of(self, part: str) -> Callable[[str], str]:
        """Like `in_yaml_words`, for a table of a part of the reader's document, such as "environment"."""
        return lambda sentence: f"{part}: {self.in_yaml_words(sentence)}"

    @cached_property
    def _yaml_names(self) -> Mapping[str, str]:
        """YAML's name of each way to write a field in ARM's words."""
        names: dict[str, str] = {}
        for field in self.fields:
            yaml, arm = field.yaml.split("."), field.arm.removeprefix("properties.").split(".")
            for depth in range(min(len(yaml), len(arm))):
                # A mapping around the field, too: properties.livenessProbe is liveness_probe.
                outer_yaml, outer_arm = ".".join(yaml[: len(yaml) - depth]), ".".join(arm[: len(arm) - depth])
                names.setdefault(f"properties.{outer_arm}", outer_yaml)
                if "." in outer_arm or not outer_arm.islower():
                    names.setdefault(outer_arm, outer_yaml)
            if not arm[-1].islower() and sum(each.arm.endswith(f".{arm[-1]}") for each in self.fields) == 1:
                names.setdefault(arm[-1], field.yaml)
        return names

    @cached_property
    def _arm_names(self) -> re.Pattern[str]:
        longest_first = sorted(self._yaml_names, key=len, reverse=True)
        return re.compile(rf"(?<![\w.])(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def _explains(self, path: str) -> bool:
        known = (*(field.yaml for field in self.fields), *self.other_keys)
        return any(path == name or path.startswith(f"{name}.") or name.startswith(f"{path}.") for name in known)

    def _scalars_for_mappings(self, document: Mapping[str, Any]) -> Iterator[str]:
        for field in self.fields:
            *above, _ = field.yaml.split(".")
            for depth in range(len(above)):
                place = ".".join(above[: depth + 1])
                value = look_up(document, place)
                if value is not None and not isinstance(value, Mapping):
                    yield f"{place} must be a mapping, not {_shown(value)}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _paths(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in document.items():
        path = f"{prefix}{name}"
        yield path
        if isinstance(value, Mapping):
            yield from _paths(value, f"{path}.")


# Conversions.


def text(value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise ValueError("must be a text")
    return _text(value)


def texts(mapping: Any) -> dict[str, str]:
    """Convert tags and environment variables: ARM wants strings where YAML has 1 or true."""
    if not isinstance(mapping, Mapping) or any(isinstance(value, Mapping | list) for value in mapping.values()):
        raise ValueError("must be a mapping of names to texts")
    return {str(name): _text(value) for name, value in mapping.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def version_text(value: Any) -> str:
    if isinstance(value, float):
        raise InvalidDocument(f"version {value} is a number to YAML: write the version in quotes")
    return str(value)


def flag(value: Any) -> bool:
    spelled = str(value).lower()
    if spelled not in ("true", "false"):
        raise ValueError("must be true or false")
    return spelled == "true"


def whole_number(value: Any) -> int:
    number = _number(value, "must be a whole number")
    if not number.is_integer():
        raise ValueError("must be a whole number")
    return int(number)


def _number(value: Any, expected: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(expected)
    return number


def percentages(mapping: Any) -> dict[str, int]:
    expected = "must be whole percentages by deployment, such as {blue: 90, green: 10}"
    if not isinstance(mapping, Mapping):
        raise ValueError(expected)
    numbers = {str(name).lower(): _number(percent, expected) for name, percent in mapping.items()}
    if not all(number.is_integer() for number in numbers.values()):
        raise ValueError(expected)
    return {name: int(number) for name, number in numbers.items()}


def duration_of_seconds(value: Any) -> str:
    return iso_duration(_number(value, "must be a number of seconds"))


def duration_of_milliseconds(value: Any) -> str:
    return iso_duration(_number(value, "must be a number of milliseconds") / 1000)


def to_seconds(duration: Any) -> int | float:
    return _whole(seconds_of(str(duration)))


def to_milliseconds(duration: Any) -> int | float:
    return _whole(seconds_of(str(duration)) * 1000)


def _whole(number: float) -> int | float:
    rounded = round(number, 3)
    return int(rounded) if rounded == int(rounded) else rounded


def word(*words: str, arm: Mapping[str, str] | None = None) -> Convert:
    """A conversion that accepts one of some words, in YAML's spelling (append_row) or in ARM's (AppendRow).

    `arm` has ARM's word for each of YAML's (default: the same words).
    """
    spellings = {_spelled(each): each for each in words}

    def convert(value: Any) -> str:
        # YAML 1.1 reads on and off as true and false.
        written = ("on" if value else "off") if isinstance(value, bool) else str(value)
        found = spellings.get(_spelled(written))
        if found is None:
            raise ValueError(f"must be {', '.join(words[:-1])} or {words[-1]}" if words[1:] else f"must be {words[0]}")
        return arm[found] if arm else found

    return convert


def pascal_word(*words: str) -> Convert:
    """Like `word`, for the words that ARM writes in Pascal case."""
    return word(*words, arm={each: pascal(each) for each in words})


def _spelled(written: str) -> str:
    return written.replace("_", "").lower()


def pascal(value: Any) -> str:
    """Convert system_assigned to SystemAssigned. ARM's own spelling stays."""
    return "".join(part[:1].upper() + part[1:] for part in str(value).split("_"))


def snake(value: Any) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in str(value)).removeprefix("_")


_AUTH_MODES = {"key": "Key", "aml_token": "AMLToken", "aad_token": "AADToken"}
_AUTH_WORDS = {arm.lower(): yaml for yaml, arm in _AUTH_MODES.items()}
auth_mode = word(*_AUTH_MODES, arm=_AUTH_MODES)


def auth_word(value: Any) -> str:
    return _AUTH_WORDS.get(str(value).lower(), str(value))
