"""Audit events: the changes of a workspace's resources, with the authors, and the verification of all events."""

from collections.abc import Iterator
from typing import Any

from modelyard.client.connection import Connection


class Events:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(
        self,
        *,
        resource: str | None = None,
        action: str | None = None,
        caller: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """List the events, the newest first. Times are ISO 8601, in UTC unless with an offset.

        `resource` is an ARM id, or the part of an ARM id below the workspace ("onlineEndpoints/wines"), and includes
        the resources below.
        """
        filters = {"resource": resource, "action": action, "caller": caller, "since": since, "until": until}
        return self._connection.list("/events", **{name: value for name, value in filters.items() if value})

    def verify(self, *, checkpoint: str | None = None) -> dict[str, Any]:
        """Verify the chain of the events of all workspaces. `checkpoint` is the `head` of an earlier verification."""
        url = f"{self._connection.platform.url}/audit/verification"
        return self._connection.request("GET", url, params={"checkpoint": checkpoint} if checkpoint else {}).body
