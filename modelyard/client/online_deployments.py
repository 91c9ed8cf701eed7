"""Online deployments: models behind an endpoint, with workers, logs and a generated scoring script."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from modelyard.client.connection import Connection, Words
from modelyard.client.operations import Change, current_step


class OnlineDeployments:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, endpoint: str) -> Iterator[dict[str, Any]]:
        return self._connection.list(_path(endpoint))

    def get(self, endpoint: str, name: str) -> dict[str, Any]:
        return self._connection.get(_path(endpoint, name))

    def find(self, endpoint: str, name: str) -> dict[str, Any] | None:
        return self._connection.find(_path(endpoint, name))

    def put(self, endpoint: str, name: str, body: Mapping[str, Any], words: Words | None = str) -> Change:
        return Change(self._connection, self._connection.put(_path(endpoint, name), body, words=words))

    def delete(self, endpoint: str, name: str) -> Change:
        return Change(self._connection, self._connection.delete(_path(endpoint, name)))

    def logs(self, endpoint: str, name: str, *, lines: int, container: str | None = None) -> str:
        """Return the last lines of the workers' output ("InferenceServer") or the build log ("StorageInitializer")."""
        body = {"tail": lines, **({"containerType": container} if container else {})}
        return str(self._connection.post(f"{_path(endpoint, name)}/getLogs", body).body.get("content") or "")

    def scoring_script(self, endpoint: str, name: str) -> str:
        return str(self._connection.get(f"{_path(endpoint, name)}/scoringScript")["content"])

    def workers(self, endpoint: str, name: str) -> Iterator[dict[str, Any]]:
        return self._connection.list(f"{_path(endpoint, name)}/workers")

    def step(self, resource: Mapping[str, Any]) -> str | None:
        """Return the step of the deployment's current operation, or None."""
        url = (resource["properties"].get("properties") or {}).get("AzureAsyncOperationUri")
        return current_step(self._connection.request("GET", url).body) if url else None


def _path(endpoint: str, deployment: str | None = None) -> str:
    path = f"/onlineEndpoints/{quote(endpoint, safe='')}/deployments"
    return path if deployment is None else f"{path}/{quote(deployment, safe='')}"
