"""Registering data assets. Jobs carry a copy of the input's files: a version may be deleted at any time."""

from typing import Any

from control_plane.features.data.content import DataContentReader
from control_plane.features.data.data_version import DataContent, DataType, DataVersion, DataVersionSpec
from control_plane.resources.assets.asset import VersionHead
from control_plane.resources.assets.repository import DATA
from control_plane.resources.assets.service import VersionedAssets
from control_plane.resources.input_files import from_manifest, to_manifest
from control_plane.resources.uploads.port import UploadedFiles
from control_plane.resources.uploads.upload import stored_uri
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.rows import DataRow, DataVersionRow
from modelyard.core.db.unit_of_work import Sessions, UnitOfWork
from modelyard.core.domain.outgoing_urls import UrlPolicy
from modelyard.core.errors import VersionImmutable


class Data(VersionedAssets[DataRow, DataVersionRow, DataVersionSpec, DataContent, DataVersion]):
    def __init__(self, sessions: Sessions, uploads: UploadedFiles, urls: UrlPolicy) -> None:
        super().__init__(sessions, DATA)
        self._uploads = uploads
        self._reader = DataContentReader(uploads, urls)

    def to_version(self, head: VersionHead, row: DataVersionRow) -> DataVersion:
        return DataVersion(head, DataContent(row.data_uri, DataType(row.data_type), from_manifest(row.manifest)))

    def new_content(
        self, workspace: Workspace, existing: DataVersion | None, spec: DataVersionSpec
    ) -> DataContent | None:
        uri = stored_uri(workspace.path, spec.data_uri or "")
        if existing is not None and (spec.data_uri is None or existing.content.uri == uri):
            return None
        return self._reader.read(workspace, spec.data_uri or "", spec.data_type or DataType.URI_FOLDER)

    def columns(self, spec: DataVersionSpec, content: DataContent) -> dict[str, Any]:
        return {"data_type": content.data_type, "data_uri": content.uri, "manifest": to_manifest(content.files)}

    def check_unchanged(self, existing: DataVersion, spec: DataVersionSpec, content: DataContent | None) -> None:
        name = f"version {existing.head.version!r} of data asset {existing.head.name!r}"
        old = existing.content
        if content is not None and (content.files != old.files or (content.files is None and content.uri != old.uri)):
            raise VersionImmutable(
                f"{name} is registered with other content: register a new version", target="properties.dataUri"
            )
        if spec.data_type not in (None, old.data_type):
            raise VersionImmutable(
                f"{name} is a {old.data_type}, and a version's type cannot change: register a new version",
                target="properties.dataType",
            )

    def content_registered(self, work: UnitOfWork, workspace: Workspace, spec: DataVersionSpec) -> None:
        self._uploads.end(work, workspace, spec.data_uri)
