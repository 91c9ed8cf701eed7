"""Changes that the platform has accepted and continues in the background."""

import time
from typing import Any

from modelyard.client.connection import ArmResponse, Connection
from modelyard.client.errors import ApiError
from modelyard.client.watching import SILENT_WATCHER, Watcher
from modelyard.core.domain.operation_step import sentence_of

_FAILED = frozenset({"failed", "canceled"})
_FIRST_PAUSE_SECONDS = 0.05
_PAUSE_SHARE = 0.05
"""Most changes of an endpoint take 0.2 s. Later pauses are a twentieth of the time so far, up to the server's
Retry-After, so that a caller learns of the end soon after it."""


class Change:
    """The operation of a PUT, PATCH, POST or DELETE. The operation continues without a waiting client."""

    def __init__(self, connection: Connection, response: ArmResponse) -> None:
        self._connection = connection
        self._operation_url = response.operation_url
        self.resource: dict[str, Any] = response.body
        """The resource at the time of the request; empty for a deletion."""

    def wait(self, watcher: Watcher = SILENT_WATCHER) -> dict[str, Any]:
        """Wait for the end of the operation. Returns the operation; raises ApiError with the reason of a failure."""
        if self._operation_url is None:
            return {}
        began = time.monotonic()
        while True:
            response = self._connection.request("GET", self._operation_url)
            status = str(response.body.get("status", "")).lower()
            if status == "succeeded":
                return response.body
            if status in _FAILED:
                raise ApiError.of(response.body.get("error") or {"code": status, "message": f"the operation {status}"})
            if step := current_step(response.body):
                watcher.step(sentence_of(step))
            pause = max(_FIRST_PAUSE_SECONDS, _PAUSE_SHARE * (time.monotonic() - began))
            time.sleep(min(pause, response.retry_after))


def current_step(operation: dict[str, Any]) -> str | None:
    """Return the current step of an operation ("installing"), or None."""
    return (operation.get("properties") or {}).get("step")
