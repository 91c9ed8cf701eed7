"""Callers that score without a pause, each on a connection of its own, as a pool of HTTP clients does."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import BadStatusLine, HTTPConnection, HTTPResponse
from urllib.parse import urlsplit

from tests.e2e.platform import Platform, wait_until

_TIMEOUT = 60.0


class Callers:
    """Keeps count of what came: "200", another status with its body, or what became of the connection."""

    def __init__(self, platform: Platform, endpoint: str, body: object, *, count: int = 4) -> None:
        self.answers: Counter[str] = Counter()
        self.retry_after: Counter[str] = Counter()
        """How many refusals of each status said when to come again."""
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
        """Wait until so many more have been answered."""
        aim = self.answers.total() + answers
        wait_until(lambda: self.answers.total() >= aim, _TIMEOUT, f"more answers than {self.answers}")

    def _call(self) -> None:
        connection = HTTPConnection(self._address, timeout=_TIMEOUT)
        while not self._over.is_set():
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
        """Asks again, once, when a connection that had been used before was closed without a byte of an answer."""
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
