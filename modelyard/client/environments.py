"""Environments: registered conda specifications, and environments built on the platform's disk."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from modelyard.client.connection import Connection, Words
from modelyard.client.documents.assets import ENVIRONMENT, LocalEnvironment
from modelyard.client.documents.references import ArmId, AssetReference
from modelyard.client.errors import ApiError
from modelyard.client.operations import Change
from modelyard.client.versions import asset_path, latest_version, next_version, version_path
from modelyard.client.watching import SILENT_WATCHER, Watcher

_ANONYMOUS = "CliV2AnonymousEnvironment"
_VERSION_LENGTH = 30
_CONTENT = ("condaFile", "image")


class Environments:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, view: str = "ActiveOnly") -> Iterator[dict[str, Any]]:
        return self._connection.list("/environments", listViewType=view)

    def versions(self, name: str, view: str = "ActiveOnly") -> Iterator[dict[str, Any]]:
        return self._connection.list(f"{asset_path('environments', name)}/versions", listViewType=view)

    def get(self, name: str, version: str | None = None) -> dict[str, Any]:
        """Return a version; without a version, the latest."""
        if version is None:
            return latest_version(self._connection, "environments", name)
        return self._connection.get(version_path("environments", name, version))

    def id_of(self, reference: AssetReference | ArmId) -> str:
        if isinstance(reference, ArmId):
            return reference.text
        return str(self.get(reference.name, reference.version)["id"])

    def register(self, environment: LocalEnvironment, words: Words = ENVIRONMENT.in_yaml_words) -> dict[str, Any]:
        """Register a conda specification. Without a version, a changed specification gets the next free version."""
        if environment.name is None:
            return self._put(environment, _ANONYMOUS, environment.digest[:_VERSION_LENGTH], words)
        if environment.version is not None:
            return self._put(environment, environment.name, environment.version, words)
        latest = self._latest(environment.name)
        if latest is not None and _has(latest, environment, _CONTENT):
            # A description and tags may change; a version's content may not.
            is_same = _has(latest, environment, environment.body["properties"])
            return latest if is_same else self._put(environment, environment.name, str(latest["name"]), words)
        version = next_version(self._connection, "environments", environment.name)
        return self._put(environment, environment.name, version, words)

    def built(self) -> Iterator[dict[str, Any]]:
        """List the environments on the platform's disk, from models and from registered specifications."""
        return self._connection.list("/builtEnvironments")

    def prune(self, watcher: Watcher = SILENT_WATCHER) -> Sequence[str]:
        """Remove the built environments without a deployment. Returns the removed environments."""
        before = self._folders()
        Change(self._connection, self._connection.post("/pruneEnvironments")).wait(watcher)
        return sorted(before - self._folders())

    def _folders(self) -> set[str]:
        return {str(built["folder"]) for built in self.built()}

    def _latest(self, name: str) -> dict[str, Any] | None:
        try:
            return self.get(name)
        except ApiError:
            return None

    def _put(self, environment: LocalEnvironment, name: str, version: str, words: Words) -> dict[str, Any]:
        properties = {
            **environment.body.get("properties", {}),
            "isAnonymous": environment.name is None,
            "isArchived": False,
        }
        path = version_path("environments", name, version)
        return self._connection.put(path, {"properties": properties}, repeatable=True, words=words).body


def _has(version: dict[str, Any], environment: LocalEnvironment, fields: Iterable[str]) -> bool:
    """Whether the fields of a registered version are as the environment's document wants them."""
    registered, wanted = version["properties"], environment.body["properties"]
    return all(registered.get(field) == wanted.get(field) for field in fields)
