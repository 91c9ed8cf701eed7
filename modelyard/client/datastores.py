"""Datastores: folders of the platform's object store, which URIs and clients of Azure's Blob service name."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from modelyard.client.connection import Connection
from modelyard.client.documents.datastore import DATASTORE

_NO_SECRETS = {"credentialsType": "None"}


class Datastores:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[dict[str, Any]]:
        return self._connection.list("/datastores")

    def get(self, name: str) -> dict[str, Any]:
        return self._connection.get(_path(name))

    def put(self, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Create or replace a datastore from a YAML document. Credentials in the document are not sent."""
        body = DATASTORE.body({"type": "azure_blob", **document})
        body["properties"]["credentials"] = _NO_SECRETS
        return self._connection.put(_path(name), body, repeatable=True, words=DATASTORE.in_yaml_words).body

    def delete(self, name: str) -> bool:
        """False: the datastore does not exist."""
        return self._connection.delete(_path(name)).status == HTTPStatus.OK


def _path(name: str) -> str:
    return f"/datastores/{quote(name, safe='')}"
