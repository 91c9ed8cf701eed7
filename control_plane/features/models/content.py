"""The content of a model, read from an upload or a datastore and checked before any file is stored."""

from collections.abc import Sequence
from typing import Any

from control_plane.features.models.model_version import ModelContent
from control_plane.resources.assets.model_type import ModelType
from control_plane.resources.uploads.port import UploadedFiles
from control_plane.resources.uploads.source import FileSource
from control_plane.resources.uploads.upload import UploadedFile, UploadReference
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.bounded_yaml import LARGEST_BYTES
from modelyard.core.domain.mlmodel import MLMODEL_FILE, parse_mlmodel
from modelyard.core.domain.model_manifest import ModelManifest, check_relative_path
from modelyard.core.domain.windows_paths import check_windows_paths
from modelyard.core.errors import InvalidModel


class ModelContentReader:
    def __init__(self, uploads: UploadedFiles) -> None:
        self._uploads = uploads

    def read(self, workspace: Workspace, source: FileSource, model_type: ModelType) -> ModelContent:
        """Store the files under their hashes. Raises the source's errors and InvalidModel before any file is stored."""
        with self._uploads.opened(workspace, source) as reference:
            files = self._uploads.files_of(workspace, reference)
            for file in files:
                check_relative_path(file.path)
            flavors = self._flavors(reference, files) if model_type == ModelType.MLFLOW else {}
            manifest = ModelManifest.of(self._uploads.store_by_hash(file) for file in files)
        return ModelContent(source.uri, manifest, reference.name, flavors)

    def _flavors(self, reference: UploadReference, files: Sequence[UploadedFile]) -> dict[str, Any]:
        wanted = f"{reference.name}/{MLMODEL_FILE}"
        file = next((file for file in files if file.path == wanted), None)
        if file is None:
            raise InvalidModel(_no_mlmodel(reference.name, files), target="modelUri")
        if file.received > LARGEST_BYTES:
            raise InvalidModel(
                f"{wanted} is {file.received} bytes long; an MLmodel file has at most {LARGEST_BYTES}",
                target="modelUri",
            )
        content = self._uploads.content_of(file)
        flavors = parse_mlmodel(content).flavors
        folder = f"{reference.name}/"
        check_windows_paths(content, {file.path.removeprefix(folder) for file in files if file.path.startswith(folder)})
        return {name: _storable(entries) for name, entries in flavors.items()}


def _no_mlmodel(folder: str, files: Sequence[UploadedFile]) -> str:
    deeper = next((file.path for file in files if file.path.endswith(f"/{MLMODEL_FILE}")), None)
    if deeper is not None:
        return f"{folder!r} has no MLmodel file, but {deeper!r} exists: register the folder of that file instead"
    return f"{folder!r} has no MLmodel file: register the folder that MLflow's save_model or log_model wrote"


def _storable(value: Any) -> Any:
    """Remove NUL, which Postgres refuses, from names and texts."""
    if isinstance(value, dict):
        return {name.replace("\0", ""): _storable(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_storable(entry) for entry in value]
    return value.replace("\0", "") if isinstance(value, str) else value
