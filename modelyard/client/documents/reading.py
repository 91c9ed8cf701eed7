"""A YAML document from a file and from `--set`."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from modelyard.client.errors import InvalidDocument

Document = dict[str, Any]


def read_document(path: Path) -> Document:
    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise InvalidDocument(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise InvalidDocument(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise InvalidDocument(f"{path} must hold a mapping such as `name: my-endpoint`")
    return document


def with_settings(document: Mapping[str, Any], assignments: Iterable[str]) -> Document:
    """`--set a.b=c` on top of a document; the value is read as YAML, so that 2 is a number."""
    changed = deepcopy(dict(document))
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not path or not equals:
            raise InvalidDocument(f"--set takes name=value, such as --set tags.team=fraud, not {assignment!r}")
        put(changed, path, _value(value))
    return changed


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Document:
    """`over` wins, name by name; a mapping in it replaces the one below."""
    return {**base, **{name: value for name, value in over.items() if value is not None}}


def look_up(document: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, or None."""
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def put(document: Document, path: str, value: Any) -> None:
    """Set the value at a dotted path, making the mappings on the way."""
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise InvalidDocument(f"{path} cannot be set, because {name} is no mapping")
    place[last] = value


def _value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
