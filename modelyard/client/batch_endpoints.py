"""Batch endpoints: names for submitting files, each with a default deployment that scores the files."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from modelyard.client.connection import Connection, Words
from modelyard.client.operations import Change


class BatchEndpoints:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[dict[str, Any]]:
        return self._connection.list("/batchEndpoints")

    def get(self, name: str) -> dict[str, Any]:
        return self._connection.get(_path(name))

    def find(self, name: str) -> dict[str, Any] | None:
        return self._connection.find(_path(name))

    def put(self, name: str, body: Mapping[str, Any], words: Words | None = str) -> Change:
        return Change(self._connection, self._connection.put(_path(name), body, words=words))

    def set_default(self, name: str, deployment: str) -> Change:
        """Make a deployment the default for jobs that name no deployment. The endpoint's other fields stay."""
        body = {"properties": {"defaults": {"deploymentName": deployment}}}
        return Change(self._connection, self._connection.patch(_path(name), body))

    def delete(self, name: str) -> Change:
        return Change(self._connection, self._connection.delete(_path(name)))


def _path(name: str) -> str:
    return f"/batchEndpoints/{quote(name, safe='')}"
