"""Online endpoints: scoring URL, credentials and traffic."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from modelyard.client.connection import Connection, Words
from modelyard.client.operations import Change

_KEY = "key"


@dataclass(frozen=True, slots=True)
class Credentials:
    document: Mapping[str, Any]
    """The response of the platform: primaryKey and secondaryKey, or accessToken with its expiry."""

    @property
    def bearer(self) -> str:
        """The key or token for the Authorization header of scoring requests."""
        return str(self.document.get("primaryKey") or self.document["accessToken"])


class OnlineEndpoints:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> Iterator[dict[str, Any]]:
        return self._connection.list("/onlineEndpoints")

    def get(self, name: str) -> dict[str, Any]:
        return self._connection.get(_path(name))

    def find(self, name: str) -> dict[str, Any] | None:
        return self._connection.find(_path(name))

    def put(self, name: str, body: Mapping[str, Any], words: Words | None = str) -> Change:
        return Change(self._connection, self._connection.put(_path(name), body, words=words))

    def set_traffic(self, name: str, traffic: Mapping[str, int]) -> Change:
        """Set the traffic in percent by deployment. The endpoint's other fields stay."""
        resource = self.get(name)
        properties = {**resource["properties"], "traffic": dict(traffic)}
        return self.put(name, {**resource, "properties": properties}, words=None)

    def delete(self, name: str) -> Change:
        return Change(self._connection, self._connection.delete(_path(name)))

    def credentials(self, name: str) -> Credentials:
        keyed = str(self.get(name)["properties"]["authMode"]).lower() == _KEY
        action = "listKeys" if keyed else "token"
        return Credentials(self._connection.post(f"{_path(name)}/{action}").body)

    def regenerate_key(self, name: str, key_type: str) -> Change:
        """Replace the "Primary" or "Secondary" key by a new random key. The old key stops working."""
        return Change(
            self._connection, self._connection.post(f"{_path(name)}/regenerateKeys", {"keyType": key_type.capitalize()})
        )


def _path(name: str) -> str:
    return f"/onlineEndpoints/{quote(name, safe='')}"
