"""The interface of a measured server."""

import json
import re
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pandas as pd

from benchmarks.load.http_answer import post
from benchmarks.models import SavedModel

HOST = "127.0.0.1"
_START_SECONDS = 180.0
_ANSWER_SECONDS = 60.0
_ABSOLUTE_PATH = re.compile(r"/(?:[\w.@-]+/)+([\w.@-]+/[\w.@-]+)")


class ServerFailed(Exception):
    """The server did not start. The message has the end of the server's log."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server with a loaded model."""

    url: str
    ask: Callable[[pd.DataFrame], bytes]
    """Make the body of a request from rows."""
    read: Callable[[Any], list[Any]]
    """Read the predictions from the JSON of a response."""
    parts: Mapping[str, Sequence[int]]
    """Process ids by role."""
    headers: Mapping[str, str]
    command: str
    """The command line that started the server, for the reader of a report."""

    @property
    def address(self) -> tuple[str, int]:
        parsed = urlsplit(self.url)
        assert parsed.hostname is not None
        assert parsed.port is not None
        return parsed.hostname, parsed.port

    @property
    def processes(self) -> tuple[int, ...]:
        return tuple(pid for pids in self.parts.values() for pid in pids)

    def request(self, frame: pd.DataFrame) -> bytes:
        host, port = self.address
        return post(f"{host}:{port}", urlsplit(self.url).path, self.ask(frame), **self.headers)

    def predictions(self, body: bytes) -> list[Any]:
        return self.read(json.loads(body))


class Server(Protocol):
    @property
    def name(self) -> str:
        """The name in tables."""

    def run(self, model: SavedModel, folder: Path) -> AbstractContextManager[Running]:
        """Run the server with the model for the length of the block. The server writes to `folder` only."""


def shown_command(command: Sequence[str | Path], variables: Mapping[str, str] | None = None) -> str:
    """Return a command line in which each absolute path has its last two parts only."""
    words = [*(f"{name}={text}" for name, text in (variables or {}).items()), *map(str, command)]
    return " ".join(shlex.quote(_ABSOLUTE_PATH.sub(r"\1", word)) for word in words)


def split(frame: pd.DataFrame) -> dict[str, Any]:
    return {"columns": list(frame.columns), "data": frame.to_numpy().tolist()}


def wait_until_ready(url: str, body: bytes, is_alive: Callable[[], bool], log_tail: Callable[[], str]) -> None:
    """Wait until a scoring request gets a 200. Raises ServerFailed with the last reason."""
    deadline = time.monotonic() + _START_SECONDS
    reason = "never reached"
    while time.monotonic() < deadline and is_alive():
        try:
            status, text = _posted(url, body)
            if status == 200:
                return
            reason = f"{status}: {text[-500:]}"
        except (OSError, HTTPException) as error:
            reason = str(error)
        time.sleep(0.1)
    raise ServerFailed(f"{url} gives no prediction ({reason}); the log ends with:\n{log_tail()}")


def _posted(url: str, body: bytes) -> tuple[int, str]:
    parsed = urlsplit(url)
    connection = HTTPConnection(str(parsed.hostname), parsed.port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("POST", parsed.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()
