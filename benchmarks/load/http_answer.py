"""The minimum of HTTP/1.1 for a client of known servers."""

from typing import NamedTuple

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_CLOSE = b"\r\nconnection: close"


class UnreadableAnswer(Exception):
    """The client cannot parse the response."""


class Answer(NamedTuple):
    status: int
    body: bytes
    is_last: bool
    """Whether the server closes the connection after the response."""
    head: bytes
    """In lower case."""


def read_answer(data: bytes) -> Answer | None:
    """Parse a response. None: the response is incomplete."""
    end = data.find(_END_OF_HEAD)
    if end < 0:
        return None
    head = data[: end + 2].lower()
    body_begins = end + 4
    if len(data) < body_begins + _length(head):
        return None
    return Answer(int(head[9:12]), data[body_begins:], _CLOSE in head, head)


def _length(head: bytes) -> int:
    text = header(head, _LENGTH)
    if text is None:
        raise UnreadableAnswer(f"an answer without a Content-Length: {head[:300]!r}")
    return int(text)


def header(head: bytes, mark: bytes) -> bytes | None:
    """Return the value after `mark`, given as b"\\r\\nname:" in lower case."""
    at = head.find(mark)
    return None if at < 0 else head[at + len(mark) : head.find(b"\r\n", at + 2)].strip()


def post(host: str, path: str, body: bytes, **headers: str) -> bytes:
    """Return the bytes of a POST request. A header `content_type` is written `Content-Type`."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
