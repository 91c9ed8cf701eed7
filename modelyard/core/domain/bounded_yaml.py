"""YAML of untrusted authors: bounded in size, depth and values, without aliases and tags, read in linear time.

Values become text, whole numbers, floats, booleans and null; a date stays text, and so does a version: without quotes
`3.10` is the number 3.1 in YAML. Mapping keys become text, as written: keys of numbers could be chosen to collide in a
dict, at a quadratic cost.
"""

import codecs
import math
import re
from typing import Any

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, ScalarEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

LARGEST_BYTES = 1 << 20
DEEPEST = 50
MOST_VALUES = 50_000
_LONGEST_NUMBER = 64
_TAG = "tag:yaml.org,2002:"
_VERSION = "version"
_TRUE = frozenset({"yes", "true", "on"})
# libyaml takes quadratic time for %TAG directives.
_DIRECTIVE = re.compile("(?:^|[\r\n\x85\u2028\u2029])%")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class RefusedYaml(ValueError):
    """The text is malformed or exceeds a limit. The message tells the line."""


def compose_yaml(content: bytes | str) -> Node | None:
    """Parse one document into nodes with line numbers. None: an empty document. Raises RefusedYaml."""
    if len(content) > LARGEST_BYTES:
        raise RefusedYaml(f"{len(content)} bytes long; the largest allowed is {LARGEST_BYTES} bytes (1 MB)")
    try:
        text = content if isinstance(content, str) else _decoded(content)
        _check_events(text)
        node: Node | None = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise RefusedYaml(f"not valid YAML: {_where(error)}") from None
    except UnicodeError as error:
        raise RefusedYaml(f"not valid YAML: {error}") from None
    return node


def load_yaml(content: bytes | str) -> Any:
    """Parse one document into plain values. Raises RefusedYaml."""
    node = compose_yaml(content)
    return None if node is None else _value(node)


def _decoded(content: bytes) -> str:
    return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")


def _check_events(text: str) -> None:
    """Events come before nodes: a refused document has cost no more than the part that was read."""
    if _DIRECTIVE.search(text):
        raise RefusedYaml("a line begins with '%': remove the directive")
    depth = values = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise RefusedYaml(f"line {_line(event)} has an anchor or alias (&name, *name): write the value out")
        if isinstance(event, CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise RefusedYaml(f"line {_line(event)} nests deeper than {DEEPEST} levels")
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        if isinstance(event, (ScalarEvent, CollectionStartEvent)):
            values += 1
            if values > MOST_VALUES:
                raise RefusedYaml(f"more than {MOST_VALUES} values, up to line {_line(event)}")


def _line(place: Event | Node) -> int:
    return int(place.start_mark.line) + 1 if place.start_mark else 1


def _value(node: Node) -> Any:
    if isinstance(node, MappingNode):
        return dict(_entry(key, value) for key, value in node.value)
    if isinstance(node, SequenceNode):
        return [_value(entry) for entry in node.value]
    return _scalar(node)


def _entry(key: Node, value: Node) -> tuple[str, Any]:
    name = _key(key)
    is_version = name.endswith(_VERSION) and isinstance(value, ScalarNode) and value.tag == f"{_TAG}float"
    return name, str(value.value) if is_version else _value(value)


def _key(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        raise RefusedYaml(f"line {_line(node)} has a list or mapping as a key: write a name")
    return str(node.value)


def _scalar(node: Node) -> str | int | float | bool | None:
    text = str(node.value)
    kind = str(node.tag).removeprefix(_TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in _TRUE
    if kind in {"int", "float"} and len(text) <= _LONGEST_NUMBER:
        return _number(text)
    return text


def _number(text: str) -> int | float | str:
    """A number that JSON has too; YAML's further notations (octal, base 60, infinity) stay text."""
    for convert in (int, float):
        try:
            number = convert(text.replace("_", ""))
        except ValueError:
            continue
        return number if math.isfinite(number) else text
    return text


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else str(problem)
