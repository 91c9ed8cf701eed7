"""Callers that score continuously, each on one connection, like a pool of HTTP clients."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import BadStatusLine, HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

from tests.e2e.platform import Platform, wait_until

_TIMEOUT = 60.0
_PAUSE = 0.005
"""Between two requests of a caller: the two cores are also for the change under test."""


class Callers:
    """Threads that score. `answers` counts "200", other statuses with the body, and errors of connections."""

    def __init__(self, platform: Platform, endpoint: str, body: object, *, count: int = 4) -> None:
        self.answers: Counter[str] = Counter()
        self.retry_after: Counter[str] = Counter()
        """Number of answers with a Retry-After header, by status."""
        self._address = urlsplit(platform.scoring_url).netloc
        self._path = f"/{endpoint}/score"
        self._body = json.dumps(body)
        self._headers = {"Authorization": f"Bearer {platform.key(endpoint)}", "Content-Type": "application/json"}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(count)]

    @contextmanager
    def calling(self) -> Iterator["Callers"]:
        for thread in self._threads:
            thread.start()
        try:
            self.see_more()
            yield self
            self.see_more()
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()

    def see_more(self, answers: int = 20) -> None:
        """Wait for the given number of further answers."""
        aim = self.answers.total() + answers
        wait_until(lambda: self.answers.total() >= aim, _TIMEOUT, f"more answers than {self.answers}")

    def _call(self) -> None:
        connection = HTTPConnection(self._address, timeout=_TIMEOUT)
        while not self._over.wait(_PAUSE):
            try:
                status, retry_after, said = self._ask(connection)
            except OSError as error:
                self.answers[f"{type(error).__name__}: {error}"] += 1
                connection.close()
                continue
            self.answers[str(status) if status == 200 else f"{status} {said}"] += 1
            self.retry_after[str(status)] += retry_after is not None
        connection.close()

    def _ask(self, connection: HTTPConnection) -> tuple[int, str | None, str]:
        """Ask once more when the server closed a reused connection without a byte of an answer."""
        was_used = connection.sock is not None
        try:
            return self._asked(connection)
        except (BadStatusLine, BrokenPipeError, ConnectionResetError):
            if not was_used:
                raise
            connection.close()
            return self._asked(connection)

    def _asked(self, connection: HTTPConnection) -> tuple[int, str | None, str]:
        connection.request("POST", self._path, self._body, self._headers)
        response: HTTPResponse = connection.getresponse()
        return response.status, response.getheader("retry-after"), response.read().decode()[:200]
