"""Computes: the names that batch deployments carry over from Azure. The platform's own workers do the work of all."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from modelyard.client.connection import Connection
from modelyard.client.documents.compute import COMPUTE


class Computes:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[dict[str, Any]]:
        return self._connection.list("/computes")

    def get(self, name: str) -> dict[str, Any]:
        return self._connection.get(_path(name))

    def put(self, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Create or replace a compute from a YAML document."""
        body = {"location": "local", **COMPUTE.body({"type": "amlcompute", **document})}
        return self._connection.put(_path(name), body, repeatable=True, words=COMPUTE.in_yaml_words).body

    def delete(self, name: str) -> bool:
        """False: the compute does not exist."""
        return self._connection.delete(_path(name)).status == HTTPStatus.OK


def _path(name: str) -> str:
    return f"/computes/{quote(name, safe='')}"
