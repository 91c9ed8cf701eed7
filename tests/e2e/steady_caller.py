"""A caller with ten requests a second, as an ordinary client of an endpoint beside an attack.

The caller is a process of its own: the process of a test is busy with the attack, and would delay the requests itself.
"""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.e2e.platform import Platform, wait_until

_TIMEOUT = 60.0
_CALLER = """
import json, sys, time
from http.client import HTTPConnection, HTTPException

address, path, body, headers, timeout = json.loads(sys.argv[1])

def ask():
    connection = HTTPConnection(address, timeout=timeout)
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
        return response.status
    except (OSError, HTTPException) as error:
        return repr(error)
    finally:
        connection.close()

planned = time.monotonic()
while True:
    time.sleep(max(0.0, planned - time.monotonic()))
    status = ask()
    print(json.dumps([status, time.monotonic() - planned]), flush=True)
    planned += 0.1
"""


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
        headers = {"Authorization": f"Bearer {platform.key(endpoint)}", "Content-Type": "application/json"}
        address = urlsplit(platform.scoring_url).netloc
        plan = json.dumps([address, f"/{endpoint}/score", json.dumps(body), headers, _TIMEOUT])
        self._command = [sys.executable, "-I", "-S", "-c", _CALLER, plan]
        self._answers = Answers()

    @contextmanager
    def calling(self) -> Iterator[None]:
        with subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True) as process:
            reader = threading.Thread(target=self._read, args=(process.stdout,))
            reader.start()
            try:
                yield
            finally:
                process.kill()
                reader.join()

    @contextmanager
    def answers(self) -> Iterator[Answers]:
        """Yield the answers to the requests of the block."""
        self._answers = answers = Answers()
        yield answers
        wait_until(lambda: answers.seconds, _TIMEOUT, "an answer of the other endpoint")
        self._answers = Answers()

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            status, seconds = json.loads(line)
            answers = self._answers
            answers.statuses[status] += 1
            answers.seconds.append(seconds)
