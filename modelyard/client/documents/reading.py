"""YAML documents: read from a file, changed by `--set`."""

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
        raise InvalidDocument(f"{path} must contain a mapping, for example `name: my-endpoint`")
    return document


def with_settings(document: Mapping[str, Any], assignments: Iterable[str]) -> Document:
    """Apply assignments like `a.b=c` to a document. Values are YAML, so 2 is a number."""
    changed = deepcopy(dict(document))
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not path or not equals:
            raise InvalidDocument(f"--set takes name=value, for example --set tags.team=fraud, not {assignment!r}")
        put(changed, path, _value(value))
    return changed


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Document:
    """Return `base` with the values of `over`. A mapping in `over` replaces the mapping in `base`."""
    return {**base, **{name: value for name, value in over.items() if value is not None}}


def look_up(document: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path, or None."""
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def required(document: Mapping[str, Any], field: str, flag: str) -> str:
    """Return the value of a field. Raises InvalidDocument without a value; `flag` is that of the command line."""
    value = document.get(field)
    if not value:
        raise InvalidDocument(f"missing {field}: write {field} into the file, or pass {flag}")
    return str(value)


def put(document: Document, path: str, value: Any) -> None:
    """Set the value at a dotted path. Creates missing mappings."""
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise InvalidDocument(f"--set {path}: {name} is not a mapping; set {name} itself")
    place[last] = value


def _value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
