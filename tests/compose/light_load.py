"""A caller that sends ten requests a second and counts answers and failures."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from tests.compose.stack import Stack
from tests.e2e.platform import wait_until

_PAUSE_SECONDS = 0.1


class LightLoad:
    def __init__(self, stack: Stack, endpoint: str, body: object) -> None:
        self.answered = 0
        self.failures: list[str] = []
        """Failures of requests outside `away` blocks."""
        self.failed_while_away = 0
        self._away = threading.Event()
        self._over = threading.Event()
        self._address = urlsplit(stack.scoring_url).netloc
        self._path = f"/{endpoint}/score"
        self._body = json.dumps(body)
        self._headers = {"Authorization": f"Bearer {stack.key(endpoint)}", "Content-Type": "application/json"}
        self._thread = threading.Thread(target=self._call)

    @contextmanager
    def going_on(self) -> Iterator["LightLoad"]:
        self._thread.start()
        try:
            self.see_more()
            yield self
            self.see_more()
        finally:
            self._over.set()
            self._thread.join()

    @contextmanager
    def away(self) -> Iterator[None]:
        """A block in which requests may fail."""
        self._away.set()
        yield
        self._away.clear()

    def see_more(self, answers: int = 10) -> None:
        aim = self.answered + answers
        wait_until(lambda: self.answered >= aim, 180, f"more answers than {self.answered}; failed: {self.failures}")

    def _call(self) -> None:
        while not self._over.wait(_PAUSE_SECONDS):
            excused = self._away.is_set()
            failure = self._ask()
            if failure is None:
                self.answered += 1
            elif excused or self._away.is_set():
                self.failed_while_away += 1
            else:
                self.failures.append(failure)

    def _ask(self) -> str | None:
        """Send one request on a new connection, without a second try; return the failure."""
        connection = HTTPConnection(self._address, timeout=60)
        try:
            connection.request("POST", self._path, self._body, self._headers)
            response = connection.getresponse()
            said = response.read().decode()[:200]
            return None if response.status == 200 else f"{response.status} {said}"
        except (OSError, HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        finally:
            connection.close()
