"""Large JSON documents, parsed piece by piece.

A parser holds the interpreter until it is done, in any thread: half a second for 50 MB, in which no other request is
answered. In pieces the parser holds the interpreter for a few milliseconds at a time.

Nearly all of a large document is one list of rows, records or numbers, or one object of columns. That container is cut
at commas between entries. The parser proves the choice of a comma: cut inside an entry or a text, the part in front of
the comma is malformed. Then, and for any other document, the whole document is parsed at once, so that the result and
the error are always those of the parser alone.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson

LARGE = 1 << 20
_PIECE = 256 << 10
# The search for the end of an entry stops here.
_LONGEST_ENTRY = 16 << 20
_LAST = 4 << 10

Parse = Callable[[bytes], Any]
Pattern = re.Pattern[bytes]


class _Kind(NamedTuple):
    """A container by the look of its text. The group of `between` belongs to the earlier entry."""

    begin: Pattern
    end: Pattern
    between: Pattern
    opening: bytes = b"["
    closing: bytes = b"]"


def _nested_lists(depth: int) -> _Kind:
    opened, closed = rb"(?:\[\s*){%d}" % depth, rb"(?:\]\s*){%d}" % depth
    return _Kind(
        re.compile(rb"\[\s*(?=%b[^\[\s])" % opened),
        re.compile(rb"(?<=\])\s*\]"),
        re.compile(rb"(%b),(?=\s*%b)" % (closed, opened)),
    )


_KINDS = (
    *map(_nested_lists, (1, 2, 3)),
    _Kind(re.compile(rb"\[\s*(?=\{)"), re.compile(rb"(?<=\})\s*\]"), re.compile(rb"(\}\s*),(?=\s*\{)")),
    _Kind(
        re.compile(rb'\{\s*(?="[^"\\]*"\s*:\s*\[)'),
        re.compile(rb"(?<=\])\s*\}"),
        re.compile(rb'(\]\s*),(?=\s*")'),
        b"{",
        b"}",
    ),
    _Kind(re.compile(rb"\[\s*(?=[-\d])"), re.compile(rb"(?<=\d)\s*\]"), re.compile(rb"(\d\s*),(?=\s*[-\d])")),
)


class _Otherwise(Exception):
    """The document is of a different kind."""


def parse_large(body: bytes, parse: Parse = orjson.loads) -> Any:
    """Parse a document like `parse`, with the same result and the same exceptions."""
    for kind in _KINDS if len(body) >= LARGE else ():
        try:
            return _in_pieces(body, kind, parse)
        except (_Otherwise, orjson.JSONDecodeError):
            continue
    return parse(body)


def _in_pieces(body: bytes, kind: _Kind, parse: Parse) -> Any:
    begin, end = _begin_and_end(body, kind)
    token = uuid.uuid4().hex
    place: Any = {token: None} if kind.opening == b"{" else [token]
    document = parse(body[: begin.start()] + orjson.dumps(place) + body[end.end() :])
    container = _found(document, place)
    container.clear()
    add = container.update if isinstance(container, dict) else container.extend
    for piece in _pieces(body, begin.end(), end.start(), kind.between):
        add(parse(kind.opening + piece + kind.closing))
    return document


def _begin_and_end(body: bytes, kind: _Kind) -> tuple["re.Match[bytes]", "re.Match[bytes]"]:
    """The brackets around the entries."""
    begin = kind.begin.search(body)
    end = None
    for end in kind.end.finditer(body, len(body) - _LAST):  # noqa: B007 - the last one
        pass
    if begin is None or end is None or end.start() - begin.end() < LARGE // 2:
        raise _Otherwise
    return begin, end


def _pieces(body: bytes, start: int, end: int, between: Pattern) -> Iterator[bytes]:
    cut = between.search(body, start + _PIECE, min(end, start + _LONGEST_ENTRY))
    if cut is None:
        raise _Otherwise
    while cut is not None:
        yield body[start : cut.end(1)]
        start = cut.end()
        cut = between.search(body, start + _PIECE, end)
    yield body[start:end]


def _found(document: Any, place: Any) -> Any:
    """The container in the document that is equal to `place`."""
    left = [document]
    while left:
        value = left.pop()
        if value == place:
            return value
        if isinstance(value, dict | list):
            left += value.values() if isinstance(value, dict) else value
    raise _Otherwise
