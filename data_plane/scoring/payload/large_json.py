"""Parse large JSON documents piece by piece.

A call of orjson holds the GIL to the end, in a separate thread too: half a second for 50 MB, without a response to any
other request. A piece takes a few milliseconds.

Nearly all of a large document is a single container: a list of rows, records or numbers, or an object of columns. The
container is cut at commas between entries. A regular expression proposes the cut and the parser verifies the cut: the
text before a comma inside an entry or a string is not well-formed JSON. After such a failure, and for a document of
any other shape, the whole document is parsed in one call, so values and errors equal those of a single call.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson

LARGE = 1 << 20
_PIECE_BYTES = 256 << 10
# The search for the end of a longer entry costs more than the pieces save.
_MAX_ENTRY_BYTES = 16 << 20
_TAIL_BYTES = 4 << 10

Parse = Callable[[bytes], Any]
Pattern = re.Pattern[bytes]


class _Container(NamedTuple):
    """Patterns in the text of a container. `between` matches a cut; the group is the end of the earlier entry."""

    begin: Pattern
    end: Pattern
    between: Pattern
    opening: bytes = b"["
    closing: bytes = b"]"


def _nested_lists(depth: int) -> _Container:
    opened, closed = rb"(?:\[\s*){%d}" % depth, rb"(?:\]\s*){%d}" % depth
    return _Container(
        re.compile(rb"\[\s*(?=%b[^\[\s])" % opened),
        re.compile(rb"(?<=\])\s*\]"),
        re.compile(rb"(%b),(?=\s*%b)" % (closed, opened)),
    )


_CONTAINERS = (
    *map(_nested_lists, (1, 2, 3)),
    _Container(re.compile(rb"\[\s*(?=\{)"), re.compile(rb"(?<=\})\s*\]"), re.compile(rb"(\}\s*),(?=\s*\{)")),
    _Container(
        re.compile(rb'\{\s*(?="[^"\\]*"\s*:\s*\[)'),
        re.compile(rb"(?<=\])\s*\}"),
        re.compile(rb'(\]\s*),(?=\s*")'),
        b"{",
        b"}",
    ),
    # Numbers, or Python's NaN and Infinity.
    _Container(
        re.compile(rb"\[\s*(?=[-\dNI])"),
        re.compile(rb"(?<=[\dNy])\s*\]"),
        re.compile(rb"([\dNy]\s*),(?=\s*[-\dNI])"),
    ),
)


class _NotThisContainer(Exception):
    """The document does not consist of a container of the expected kind."""


def parse_large(body: bytes, parse: Parse = orjson.loads) -> Any:
    """Return the result of `parse(body)`, or raise the exception of `parse(body)`."""
    for kind in _CONTAINERS if len(body) >= LARGE else ():
        try:
            return _in_pieces(body, kind, parse)
        except (_NotThisContainer, orjson.JSONDecodeError):
            continue
    return parse(body)


def _in_pieces(body: bytes, kind: _Container, parse: Parse) -> Any:
    begin, end = _begin_and_end(body, kind)
    token = uuid.uuid4().hex
    marker: Any = {token: None} if kind.opening == b"{" else [token]
    document = parse(body[: begin.start()] + orjson.dumps(marker) + body[end.end() :])
    container = _find(document, marker)
    container.clear()
    add = container.update if isinstance(container, dict) else container.extend
    for piece in _pieces(body, begin.end(), end.start(), kind.between):
        add(parse(kind.opening + piece + kind.closing))
    return document


def _begin_and_end(body: bytes, kind: _Container) -> tuple["re.Match[bytes]", "re.Match[bytes]"]:
    """Find the brackets around the entries."""
    begin = kind.begin.search(body)
    end = None
    for end in kind.end.finditer(body, len(body) - _TAIL_BYTES):  # noqa: B007 - the last match
        pass
    if begin is None or end is None or end.start() - begin.end() < LARGE // 2:
        raise _NotThisContainer
    return begin, end


def _pieces(body: bytes, start: int, end: int, between: Pattern) -> Iterator[bytes]:
    cut = between.search(body, start + _PIECE_BYTES, min(end, start + _MAX_ENTRY_BYTES))
    if cut is None:
        raise _NotThisContainer
    while cut is not None:
        yield body[start : cut.end(1)]
        start = cut.end()
        cut = between.search(body, start + _PIECE_BYTES, end)
    yield body[start:end]


def _find(document: Any, marker: Any) -> Any:
    """Return the container in the document that equals `marker`."""
    left = [document]
    while left:
        value = left.pop()
        if value == marker:
            return value
        if isinstance(value, dict | list):
            left += value.values() if isinstance(value, dict) else value
    raise _NotThisContainer
