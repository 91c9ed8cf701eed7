"""A caller with ten requests a second, as an ordinary client of an endpoint beside an attack."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from tests.e2e.platform import Platform, wait_until

_INTERVAL = 0.1
_TIMEOUT = 60.0


@dataclass
class Answers:
    """Statuses with the number of answers, and the seconds of each answer since the time planned for its request."""

    statuses: Counter[object] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]


class SteadyCaller:
    def __init__(self, platform: Platform, endpoint: str, body: object) -> None:
        self._address = urlsplit(platform.scoring_url).netloc
        self._path = f"/{endpoint}/score"
        self._body = json.dumps(body)
        self._headers = {"Authorization": f"Bearer {platform.key(endpoint)}", "Content-Type": "application/json"}
        self._answers = Answers()

    @contextmanager
    def calling(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._call, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextmanager
    def answers(self) -> Iterator[Answers]:
        """Yield the answers to the requests of the block."""
        self._answers = answers = Answers()
        yield answers
        wait_until(lambda: answers.seconds, _TIMEOUT, "an answer of the other endpoint")
        self._answers = Answers()

    def _call(self, over: threading.Event) -> None:
        planned = time.monotonic()
        while not over.wait(max(0.0, planned - time.monotonic())):
            answers = self._answers
            answers.statuses[self._ask()] += 1
            answers.seconds.append(time.monotonic() - planned)
            planned += _INTERVAL

    def _ask(self) -> int | str:
        connection = HTTPConnection(self._address, timeout=_TIMEOUT)
        try:
            connection.request("POST", self._path, self._body, self._headers)
            response = connection.getresponse()
            response.read()
            return response.status
        except (OSError, HTTPException) as error:
            return repr(error)
        finally:
            connection.close()
