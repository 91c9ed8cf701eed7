"""Workspaces: the containers of all resources."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from modelyard.client.connection import Connection
from modelyard.client.errors import InvalidDocument


class Workspaces:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, name: str) -> dict[str, Any]:
        """Create the workspace, unless it exists."""
        return self._connection.request("PUT", self._url(name), body={"location": "local"}, repeatable=True).body

    def get(self, name: str | None = None) -> dict[str, Any]:
        """Return a workspace; without a name, the workspace of all calls."""
        return self._connection.request("GET", self._url(name or self._connection.platform.workspace)).body

    def list(self) -> Iterator[dict[str, Any]]:
        """List the workspaces that the token may read."""
        return self._connection.list_at(self._url("").rstrip("/"))

    def delete(self, name: str) -> bool:
        """Delete an empty workspace. False: the workspace does not exist."""
        return self._connection.request("DELETE", self._url(name)).status == HTTPStatus.OK

    def _url(self, name: str) -> str:
        if "/" in name:
            raise InvalidDocument(f"{name!r} is not the name of a workspace")
        return f"{self._connection.workspace_url().rpartition('/')[0]}/{name}"
