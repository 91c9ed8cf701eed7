"""Reads raw answers from a socket, strictly."""

import gzip
import json
import socket
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_UNPACK = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_last(self) -> bool:
        return self.headers.get("connection") == "close"

    @property
    def is_json(self) -> bool:
        return self.headers.get("content-type", "").startswith("application/json")

    @property
    def content(self) -> bytes:
        coding = self.headers.get("content-encoding")
        return _UNPACK[coding](self.body) if coding and self.body else self.body


class ConnectionLost(AssertionError):
    """The connection was closed before the end of an answer."""


def read_answer(connection: socket.socket, *, to_head: bool = False) -> RawAnswer:
    """Return the next final answer; interim answers, such as 100 Continue, are skipped."""
    received = b""
    while True:
        head, end, rest = received.partition(b"\r\n\r\n")
        if end and head.startswith(b"HTTP/1.1 1"):
            received = rest
            continue
        if end:
            answer = _head(head)
            wanted = 0 if to_head else int(answer.headers["content-length"])
            if len(rest) >= wanted:
                return RawAnswer(answer.status, answer.headers, rest[:wanted])
        try:
            more = connection.recv(1 << 18)
        except ConnectionResetError:
            more = b""
        if not more:
            raise ConnectionLost(f"after {received[:300]!r}")
        received += more


def _head(head: bytes) -> RawAnswer:
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status = first.split(" ")[:2]
    assert version == "HTTP/1.1", first
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return RawAnswer(int(status), headers, b"")


def strict_json(content: bytes) -> Any:
    """Parse strict JSON, without NaN."""
    return json.loads(content.decode(), parse_constant=_refuse)


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
