"""The content of a data asset, read from an upload, or the URI of a place that jobs read."""

from control_plane.features.data.data_version import DataContent, DataType
from control_plane.resources.datastore import DatastorePath, read_datastore_path
from control_plane.resources.uploads.port import UploadedFiles
from control_plane.resources.uploads.upload import UploadReference, stored_uri
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.batch import InputFile
from modelyard.core.domain.outgoing_urls import WEB, RefusedUrl, UrlPolicy
from modelyard.core.errors import InvalidRequest

_TARGET = "properties.dataUri"
_WEB_PREFIXES = tuple(f"{scheme}://" for scheme in WEB)


class DataContentReader:
    def __init__(self, uploads: UploadedFiles, urls: UrlPolicy) -> None:
        self._uploads = uploads
        self._urls = urls

    def read(self, workspace: Workspace, uri: str, data_type: DataType) -> DataContent:
        """Store the content under its hash. Raises UploadIncomplete or InvalidRequest before any file is stored."""
        reference = UploadReference.in_uri(uri)
        if reference is None:
            return DataContent(self._place(workspace, uri), data_type, None)
        is_file = data_type is DataType.URI_FILE
        files = self._uploads.files_of(workspace, reference)
        if is_file != (len(files) == 1 and files[0].path == reference.name):
            raise InvalidRequest(
                f"{reference.name!r} is a {'folder' if is_file else 'file'}: register it as "
                f"{DataType.URI_FOLDER if is_file else DataType.URI_FILE}",
                target="properties.dataType",
            )
        stored = [self._uploads.store_by_hash(file) for file in sorted(files, key=lambda file: file.path)]
        above = "" if is_file else f"{reference.name}/"
        inputs = tuple(InputFile(file.path.removeprefix(above), file.key, file.size) for file in stored)
        return DataContent(stored_uri(workspace.path, uri), data_type, inputs)

    def _place(self, workspace: Workspace, uri: str) -> str:
        """The URI of a path in a datastore in short form, and any other URL as sent."""
        is_elsewhere = DatastorePath.in_uri(workspace, uri, target=_TARGET) is None
        if is_elsewhere and uri.lower().startswith(_WEB_PREFIXES):
            try:
                self._urls.check(uri)
            except RefusedUrl as refusal:
                raise InvalidRequest(f"dataUri cannot be registered: {refusal}", target=_TARGET) from None
            return uri
        return read_datastore_path(workspace, uri, target=_TARGET).uri
