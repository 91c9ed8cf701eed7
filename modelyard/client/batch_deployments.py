"""Batch deployments: models with built environments. Workers run only during the jobs of an endpoint."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from modelyard.client.connection import Connection, Words
from modelyard.client.operations import Change


class BatchDeployments:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, endpoint: str) -> Iterator[dict[str, Any]]:
        return self._connection.list(_path(endpoint))

    def get(self, endpoint: str, name: str) -> dict[str, Any]:
        return self._connection.get(_path(endpoint, name))

    def put(self, endpoint: str, name: str, body: Mapping[str, Any], words: Words | None = str) -> Change:
        return Change(self._connection, self._connection.put(_path(endpoint, name), body, words=words))

    def delete(self, endpoint: str, name: str) -> Change:
        return Change(self._connection, self._connection.delete(_path(endpoint, name)))

    def build_log(self, endpoint: str, name: str, *, lines: int) -> str:
        """Return the last lines of the environment's build log."""
        body = {"tail": lines, "containerType": "StorageInitializer"}
        return str(self._connection.post(f"{_path(endpoint, name)}/getLogs", body).body.get("content") or "")


def _path(endpoint: str, deployment: str | None = None) -> str:
    path = f"/batchEndpoints/{quote(endpoint, safe='')}/deployments"
    return path if deployment is None else f"{path}/{quote(deployment, safe='')}"
