"""Data assets: local files for batch jobs, registered under a name or, anonymously, under a content hash."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from modelyard.client.connection import Connection
from modelyard.client.documents.data import DATA, InputType, LocalData
from modelyard.client.documents.references import ArmId, AssetReference
from modelyard.client.errors import InvalidDocument
from modelyard.client.folder import LocalFolder, read_data
from modelyard.client.uploads import PendingUpload, upload_folder
from modelyard.client.versions import asset_path, latest_version, next_version, version_path
from modelyard.client.watching import SILENT_WATCHER, Watcher

_ANONYMOUS_VERSION = "1"


class Data:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, view: str = "ActiveOnly") -> Iterator[dict[str, Any]]:
        return self._connection.list("/data", listViewType=view)

    def versions(self, name: str, view: str = "ActiveOnly") -> Iterator[dict[str, Any]]:
        return self._connection.list(f"{asset_path('data', name)}/versions", listViewType=view)

    def get(self, name: str, version: str | None = None) -> dict[str, Any]:
        """Return a version; without a version, the latest."""
        if version is None:
            return latest_version(self._connection, "data", name)
        return self._connection.get(version_path("data", name, version))

    def resolve(self, reference: AssetReference | ArmId) -> dict[str, Any]:
        """Return the id of the version that a reference names."""
        if isinstance(reference, ArmId):
            return self._connection.get(reference.text.removeprefix(self._connection.platform.workspace_id))
        return self.get(reference.name, reference.version)

    def register(self, data: LocalData, watcher: Watcher = SILENT_WATCHER) -> dict[str, Any]:
        """Upload files and register the upload. Anonymous data that is registered already is not uploaded again."""
        _check_type(data)
        folder = read_data(data.path)
        if data.name is not None:
            version = data.version or next_version(self._connection, "data", data.name)
            return self._send(folder, data.name, version, data, watcher)
        watcher.step("reading the files")
        name = folder.manifest.digest
        known = self._connection.find(version_path("data", name, _ANONYMOUS_VERSION))
        return known or self._send(folder, name, _ANONYMOUS_VERSION, data, watcher)

    def _send(self, folder: LocalFolder, name: str, version: str, data: LocalData, watcher: Watcher) -> dict[str, Any]:
        watcher.step("uploading")
        path = version_path("data", name, version)
        uri = upload_folder(self._connection, folder, PendingUpload.start(self._connection, path), watcher)
        properties = {
            **data.body.get("properties", {}),
            "dataType": str(_type_of(data.path)),
            "dataUri": uri,
            "isAnonymous": data.name is None,
            "isArchived": False,
        }
        return self._connection.put(path, {"properties": properties}, repeatable=True, words=DATA.in_yaml_words).body


def _check_type(data: LocalData) -> None:
    named, found = data.body.get("properties", {}).get("dataType"), _type_of(data.path)
    if named not in (None, found) and data.path.expanduser().exists():
        kind = "a folder" if found is InputType.URI_FOLDER else "a file"
        raise InvalidDocument(f"type is {named}, but {data.path} is {kind}: write type: {found}, or leave type out")


def _type_of(path: Path) -> InputType:
    return InputType.URI_FOLDER if path.expanduser().is_dir() else InputType.URI_FILE
