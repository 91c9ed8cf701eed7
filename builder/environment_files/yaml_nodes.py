"""YAML with line numbers, and numbers as written: `python: 3.10` is not 3.1."""

from collections.abc import Iterator

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from modelyard.core.domain.bounded_yaml import RefusedYaml, compose_yaml
from modelyard.core.domain.declared_text import shown
from modelyard.core.errors import InvalidEnvironment


def compose(text: str, refuse: type[InvalidEnvironment], *, name: str) -> MappingNode:
    """Parse the document and return the top mapping; raise `refuse` for any other text."""
    try:
        node = compose_yaml(text)
    except RefusedYaml as refusal:
        raise refuse(f"{name} is refused: {refusal}", target=name) from None
    if not isinstance(node, MappingNode):
        raise refuse(f"{name} must be a mapping with 'dependencies'; it is {described(node)}", target=name)
    return node


def entry(node: MappingNode, key: str) -> Node | None:
    for name, value in node.value:
        if isinstance(name, ScalarNode) and name.value == key:
            found: Node = value
            return found
    return None


def entries(node: Node | None) -> Iterator[Node]:
    if isinstance(node, SequenceNode):
        yield from node.value


def text_of(node: Node | None) -> str | None:
    """The text of a scalar as written. None: a null, a list or a mapping."""
    if isinstance(node, ScalarNode) and node.tag != "tag:yaml.org,2002:null":
        return str(node.value).strip()
    return None


def line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def described(node: Node | None) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    if text_of(node) is None:
        return "empty"
    return f"the text {shown(text_of(node))}"
