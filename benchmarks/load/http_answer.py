"""As little of HTTP/1.1 as a client needs that has seen its server before."""

from typing import NamedTuple

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_CLOSE = b"\r\nconnection: close"


class UnreadableAnswer(Exception):
    """The server said something that this client cannot read."""


class Answer(NamedTuple):
    status: int
    body: bytes
    is_last: bool
    """Whether the server closes the connection after it."""
    head: bytes
    """In lower case."""


def read_answer(data: bytes) -> Answer | None:
    """The answer that `data` is, or None while a part of it is missing."""
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
    """The value after `mark`, which is b"\\r\\nname:" in lower case."""
    at = head.find(mark)
    return None if at < 0 else head[at + len(mark) : head.find(b"\r\n", at + 2)].strip()


def post(host: str, path: str, body: bytes, **headers: str) -> bytes:
    """The bytes of a request; `content_type` among the headers is written `Content-Type`."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
