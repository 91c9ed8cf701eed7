"""Audit events: the changes of a workspace's resources, with the authors."""

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
