"""Sends the head and the body of an answer in one write: uvicorn makes two, and the caller would wake up twice."""

import asyncio
from typing import Any

_INTERIM = b"HTTP/1.1 100 "


class WholeAnswers:
    """Stands before a connection's transport for one answer that has a body, if only an empty one."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None
        self._is_begun = False

    def write(self, data: bytes) -> None:
        if self._is_begun:
            self._transport.write(data)
        elif self._head is not None:
            self._is_begun = True
            self._transport.write(self._head + data)
        elif data.startswith(_INTERIM):
            self._transport.write(data)
        else:
            self._head = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
