"""The session of a command: the platform, and the display while the command waits."""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import typer

from modelyard.cli.progress import note, progress
from modelyard.client.client import Client
from modelyard.client.errors import ApiError, InvalidDocument
from modelyard.client.operations import Change
from modelyard.client.platform import find_platform
from modelyard.client.watching import Watcher

_SECRET_VALUE = re.compile(r'("(?:primaryKey|secondaryKey|accessToken|keyValue|token)"\s*:\s*")[^"]*')
_SIGNATURE = re.compile(r"([?&]sig=)[^&\"'\s]*")


class Interrupted(Exception):
    """Ctrl-C during a wait. The message tells what continues in the background."""


@dataclass(frozen=True, slots=True)
class Session:
    environment: Mapping[str, str]
    debug: bool

    @contextmanager
    def client(self, file: Path | None = None) -> Iterator[Client]:
        """`file` is the document of the command. Notes and errors on the document's fields begin with its name."""
        trace, begins = _Exchange() if self.debug else None, f"{file}: " if file else ""
        with Client(
            find_platform(self.environment), trace=trace, note=lambda sentence: note(f"{begins}{sentence}")
        ) as client:
            try:
                yield client
            except (InvalidDocument, ApiError) as error:
                if isinstance(error, InvalidDocument) or error.status == HTTPStatus.BAD_REQUEST:
                    error.message = f"{begins}{error.message}"
                raise

    def wait(self, change: Change, *, goes_on: str, on_failure: str | None = None) -> None:
        """Wait for the end of a change, with a display of the steps."""
        with progress() as watcher:
            self.wait_with_watcher(change, watcher, goes_on=goes_on, on_failure=on_failure)

    def wait_with_watcher(
        self, change: Change, watcher: Watcher, *, goes_on: str, on_failure: str | None = None
    ) -> None:
        """Like `wait`, in an open display."""
        try:
            change.wait(watcher)
        except KeyboardInterrupt:
            raise Interrupted(f"{goes_on}, in the background") from None
        except ApiError as error:
            if on_failure and error.status is None:
                watcher.note(on_failure)
            raise


def log_commands(deployment: str, endpoint: str) -> str:
    """Return the commands that print the logs of a failed deployment."""
    command = f"modelyard online-deployment get-logs -n {deployment} -e {endpoint} -l 500"
    return f"to see the logs: {command} -c storage-initializer (the build) or -c inference-server (the model)"


def session_of(context: typer.Context) -> Session:
    session = context.find_object(Session)
    assert session is not None, "main passes a session to every command"
    return session


def note_without_effect(paths: Sequence[str], where: str, reason: str) -> None:
    """Print a note on keys of a file that are not sent to the platform."""
    if paths:
        note(f"{where}: {', '.join(paths)} {'have' if paths[1:] else 'has'} no effect: {reason}")


class _Exchange:
    """Prints HTTP requests and responses for `--debug`, without secrets."""

    def request(self, method: str, url: str, body: object) -> None:
        self._print(f"> {method} {url}", None if body is None else json.dumps(body))

    def response(self, status: int, body: object) -> None:
        self._print(f"< {status}", str(body))

    def _print(self, line: str, body: str | None) -> None:
        full = line if not body else f"{line}\n  {body}"
        print(_SIGNATURE.sub(r"\1***", _SECRET_VALUE.sub(r"\1***", full)), file=sys.stderr, flush=True)
