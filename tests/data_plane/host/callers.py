"""Callers of a deployment through a gateway."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from tests.data_plane.replicas.worker_harness import PATIENCE, eventually

KEY = "a key"


def score(connection: HTTPConnection, data: Any = 1) -> str:
    """Status and answer."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    connection.request("POST", "/wines/score", json.dumps({"input_data": data}), headers)
    response = connection.getresponse()
    return f"{response.status} {response.read().decode()}"


class Callers:
    """Several threads that score without a pause until told to end, each on a separate connection."""

    def __init__(self, port: int) -> None:
        self.answers: Counter[str] = Counter()
        self._port = port
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(3)]

    def _call(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        while not self._over.is_set():
            self.answers[score(connection)] += 1
        connection.close()

    @contextmanager
    def calling(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            eventually(lambda: self.answers)
            yield
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()
