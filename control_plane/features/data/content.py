"""The content of a data asset, read from an upload or a datastore."""

from control_plane.features.data.data_version import DataContent, DataType
from control_plane.resources.datastore import read_datastore_path
from control_plane.resources.uploads.port import UploadedFiles
from control_plane.resources.uploads.upload import UploadReference, stored_uri
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.batch import InputFile
from modelyard.core.errors import InvalidRequest

_TARGET = "properties.dataUri"


class DataContentReader:
    def __init__(self, uploads: UploadedFiles) -> None:
        self._uploads = uploads

    def read(self, workspace: Workspace, uri: str, data_type: DataType) -> DataContent:
        """Store the content under its hash. Raises UploadIncomplete or InvalidRequest before any file is stored."""
        reference = UploadReference.in_uri(uri)
        if reference is None:
            return DataContent(read_datastore_path(workspace, uri, target=_TARGET).uri, data_type, None)
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
