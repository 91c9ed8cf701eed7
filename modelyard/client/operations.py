"""A change that the platform has accepted and goes on with by itself."""

import time
from typing import Any

from modelyard.client.connection import Answer, Connection
from modelyard.client.errors import ApiError
from modelyard.client.watching import UNWATCHED, Watcher
from modelyard.core.domain.operation_step import sentence_of

_FAILED = frozenset({"failed", "canceled"})
_FIRST_PAUSE_SECONDS = 0.05
"""Most changes of an endpoint take 0.2 s. Later pauses double, up to the server's Retry-After."""


class Change:
    """What a PUT, PATCH, POST or DELETE began. It needs nobody to wait for it."""

    def __init__(self, connection: Connection, answer: Answer) -> None:
        self._connection = connection
        self._operation_url = answer.operation_url
        self.resource: dict[str, Any] = answer.body
        """The resource as it was when the change was accepted; empty for a deletion."""

    def wait(self, watcher: Watcher = UNWATCHED) -> dict[str, Any]:
        """Until it has ended. Returns the operation's own document; raises ApiError with the reason of a failure."""
        if self._operation_url is None:
            return {}
        pause = _FIRST_PAUSE_SECONDS
        while True:
            answer = self._connection.ask("GET", self._operation_url)
            status = str(answer.body.get("status", "")).lower()
            if status == "succeeded":
                return answer.body
            if status in _FAILED:
                raise ApiError.of(answer.body.get("error") or {"code": status, "message": f"the operation {status}"})
            if step := current_step(answer.body):
                watcher.step(sentence_of(step))
            time.sleep(min(pause, answer.retry_after))
            pause *= 2


def current_step(operation: dict[str, Any]) -> str | None:
    """What an operation under way is doing ("installing"), when its document says."""
    return (operation.get("properties") or {}).get("step")
