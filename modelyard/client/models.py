"""Models: register a local folder, list, archive, and download."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelyard.client.connection import Connection, Words
from modelyard.client.documents.assets import MODEL, LocalModel
from modelyard.client.documents.references import ArmId, AssetReference
from modelyard.client.downloads import download_files
from modelyard.client.errors import ApiError, ContentConflict, InvalidFolder
from modelyard.client.folder import LocalFolder, read_data, read_folder
from modelyard.client.uploads import PendingUpload, upload_folder
from modelyard.client.versions import asset_path, latest_version, next_version, version_path
from modelyard.client.watching import SILENT_WATCHER, Watcher
from modelyard.core.domain.mlmodel import MLMODEL_FILE, parse_mlmodel
from modelyard.core.domain.model_manifest import ModelManifest
from modelyard.core.domain.windows_paths import check_windows_paths

_MLFLOW = "mlflow_model"
_ANONYMOUS_VERSION = "1"
_CUSTOM = "the file or folder of the custom model"


class Models:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self, view: str = "ActiveOnly") -> Iterator[dict[str, Any]]:
        return self._connection.list("/models", listViewType=view)

    def versions(self, name: str, view: str = "ActiveOnly") -> Iterator[dict[str, Any]]:
        return self._connection.list(f"{asset_path('models', name)}/versions", listViewType=view)

    def get(self, name: str, version: str | None = None) -> dict[str, Any]:
        """Return a version; without a version, the latest."""
        if version is None:
            return latest_version(self._connection, "models", name)
        return self._connection.get(version_path("models", name, version))

    def id_of(self, reference: AssetReference | ArmId) -> str:
        if isinstance(reference, ArmId):
            return reference.text
        return str(self.get(reference.name, reference.version)["id"])

    def register(
        self,
        model: LocalModel,
        watcher: Watcher = SILENT_WATCHER,
        *,
        reuse_latest: bool = False,
        words: Words = MODEL.in_yaml_words,
    ) -> dict[str, Any]:
        """Upload a folder and register the upload. Content that is registered already is not uploaded again.

        Without a version, the model gets the next free version, or with `reuse_latest` the latest if unchanged.
        """
        folder = _checked(model)
        name = model.name or folder.manifest.digest
        version = model.version or (None if model.name else _ANONYMOUS_VERSION)
        registered = self._registered(name, version, look_at_latest=reuse_latest)
        if registered is not None:
            if self._is_same(registered, folder):
                return self._with_metadata(registered, model, words)
            if version is not None:
                raise ContentConflict(
                    f"model {name}:{version} is registered already with other content: "
                    "choose another version, or leave it out to get the next one"
                )
        version = version or next_version(self._connection, "models", name)
        return self._send(folder, name, version, model, watcher, words)

    def archive(self, name: str, version: str | None = None) -> None:
        """Hide a version, or all versions of the model, from lists. Deployments keep working."""
        path = version_path("models", name, version) if version else asset_path("models", name)
        resource = self._connection.get(path)
        self._connection.put(path, {"properties": {**resource["properties"], "isArchived": True}})

    def download(self, name: str, version: str | None, target: Path, watcher: Watcher = SILENT_WATCHER) -> Path:
        """Download a version's files below `target`. Returns the model folder."""
        resource = self.get(name, version)
        entries = self._files(resource)
        download_files(self._connection, entries, target, watcher)
        return target / str(entries[0]["path"]).partition("/")[0]

    def _registered(self, name: str, version: str | None, *, look_at_latest: bool) -> dict[str, Any] | None:
        if version is not None:
            return self._connection.find(version_path("models", name, version))
        try:
            return self.get(name) if look_at_latest else None
        except ApiError:
            return None

    def _is_same(self, resource: dict[str, Any], folder: LocalFolder) -> bool:
        return ModelManifest.from_list(self._files(resource)).digest == folder.manifest.digest

    def _files(self, resource: dict[str, Any]) -> Sequence[dict[str, Any]]:
        return tuple(self._connection.list(f"{self._path(resource)}/files"))

    def _path(self, resource: dict[str, Any]) -> str:
        return str(resource["id"]).removeprefix(self._connection.platform.workspace_id)

    def _with_metadata(self, registered: dict[str, Any], model: LocalModel, words: Words) -> dict[str, Any]:
        """Return the registered version, updated with the description and the tags of the YAML."""
        properties = registered["properties"]
        wanted = model.body.get("properties", {})
        if all(properties.get(name) == value for name, value in wanted.items()):
            return registered
        kept = {name: value for name, value in properties.items() if name != "flavors"}
        return self._connection.put(self._path(registered), {"properties": {**kept, **wanted}}, words=words).body

    def _send(
        self, folder: LocalFolder, name: str, version: str, model: LocalModel, watcher: Watcher, words: Words
    ) -> dict[str, Any]:
        watcher.step("uploading")
        path = version_path("models", name, version)
        uri = upload_folder(self._connection, folder, PendingUpload.start(self._connection, path), watcher)
        properties = {
            "modelType": _MLFLOW,
            **model.body.get("properties", {}),
            "modelUri": uri,
            "isAnonymous": model.name is None,
            "isArchived": False,
        }
        return self._connection.put(path, {"properties": properties}, repeatable=True, words=words).body


def _checked(model: LocalModel) -> LocalFolder:
    """Read and check the model folder before the upload."""
    if model.body.get("properties", {}).get("modelType", _MLFLOW) != _MLFLOW:
        return read_data(model.folder, _CUSTOM)
    folder = read_folder(model.folder)
    mlmodel = next((file for file in folder.files if file.path == f"{folder.name}/{MLMODEL_FILE}"), None)
    if mlmodel is None:
        raise InvalidFolder(f"{model.folder} contains no MLmodel file{_elsewhere(folder)}")
    content = mlmodel.location.read_bytes()
    parse_mlmodel(content)
    check_windows_paths(content, {file.path.removeprefix(f"{folder.name}/") for file in folder.files})
    return folder


def _elsewhere(folder: LocalFolder) -> str:
    found = [file.location.parent for file in folder.files if file.location.name == MLMODEL_FILE]
    if found:
        return f": did you mean {found[0]}?"
    return ": give the folder that mlflow.<flavor>.save_model or log_model wrote"
