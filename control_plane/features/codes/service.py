"""Registering codes, and finding a code by the hash of its folder."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from control_plane.features.codes.code_version import CodeContent, CodeHash, CodeQuery, CodeVersion, CodeVersionSpec
from control_plane.resources.assets.asset import VersionHead, VersionQuery
from control_plane.resources.assets.repository import CODES
from control_plane.resources.assets.service import VersionedAssets
from control_plane.resources.blob_container import BlobContainer, BlobUrl
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.uploads.port import UploadedFiles
from control_plane.resources.uploads.source import FileSource
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from control_plane.signed_urls import LIFETIME, UrlSigner
from modelyard.core.db.rows import CodeRow, CodeVersionRow
from modelyard.core.db.unit_of_work import Sessions, UnitOfWork, transaction
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.job_files import DEFAULT_DATASTORE
from modelyard.core.domain.model_manifest import ModelManifest, check_relative_path
from modelyard.core.errors import VersionImmutable

_TARGET = "properties.codeUri"
_PERMISSIONS = "rcwl"
_UPLOADS = "LocalUpload"
"""The folder in the default datastore in which Azure's SDK keeps all that it uploads."""


class Codes(VersionedAssets[CodeRow, CodeVersionRow, CodeVersionSpec, CodeContent, CodeVersion]):
    def __init__(self, sessions: Sessions, uploads: UploadedFiles, signer: UrlSigner) -> None:
        super().__init__(sessions, CODES)
        self._uploads = uploads
        self._signer = signer

    def list_versions(
        self, caller: Caller, path: WorkspacePath, name: str, query: VersionQuery, page: Page
    ) -> PageResult[CodeVersion]:
        """The versions of the name; with a hash, the versions of all names, because the SDK makes each name up."""
        wanted = query.hash if isinstance(query, CodeQuery) else None
        if wanted is None:
            return super().list_versions(caller, path, name, query, page)
        conditions = [CodeVersionRow.client_hash == wanted.value]
        if wanted.version is not None:
            conditions.append(CodeVersionRow.client_hash_version == wanted.version)
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            found = CODES.search_versions(work.session, workspace, query, page, *conditions)
            return PageResult.of([self._to_value(workspace, owner, row) for owner, row in found], page)

    def start_upload(self, caller: Caller, path: WorkspacePath) -> tuple[BlobUrl, str]:
        """A new folder of the default datastore, and the query string that allows writing there for an hour.

        Each upload has a folder of its own: the SDK takes a file that it finds for a file that need not be sent.
        """
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
        container = BlobContainer(workspace.key, DEFAULT_DATASTORE)
        query = self._signer.container_query(container.name, _PERMISSIONS, expires=datetime.now(UTC) + LIFETIME)
        return BlobUrl(container, f"{_UPLOADS}/{uuid4()}"), query

    # The noun's own.

    def to_version(self, head: VersionHead, row: CodeVersionRow) -> CodeVersion:
        return CodeVersion(head, row.code_uri, ModelManifest.from_list(row.manifest))

    def new_content(
        self, workspace: Workspace, existing: CodeVersion | None, spec: CodeVersionSpec
    ) -> CodeContent | None:
        if existing is not None and spec.code_uri is None:
            return None
        uri = (spec.code_uri or "").partition("?")[0]
        source = FileSource.read(workspace, uri, target=_TARGET)
        if existing is not None and _is_same(workspace, existing.code_uri, source):
            return None
        with self._uploads.opened(workspace, source) as reference:
            files = self._uploads.files_of(workspace, reference)
            for file in files:
                check_relative_path(file.path)
            manifest = ModelManifest.of(self._uploads.store_by_hash(file) for file in files)
        # Azure's SDK reads the URL of a blob, and no azureml:// URI.
        kept = uri if BlobUrl.read(uri) is not None else source.uri
        return CodeContent(kept, manifest, reference.name)

    def columns(self, spec: CodeVersionSpec, content: CodeContent) -> dict[str, Any]:
        found = CodeHash.in_properties(spec.description.properties or {})
        return {
            "code_uri": content.uri,
            "folder_name": content.folder_name,
            "manifest": content.manifest.to_list(),
            "manifest_hash": content.manifest.digest,
            "client_hash": None if found is None else found.value,
            "client_hash_version": None if found is None else found.version,
        }

    def check_unchanged(self, existing: CodeVersion, spec: CodeVersionSpec, content: CodeContent | None) -> None:
        if content is not None and content.manifest.digest != existing.manifest.digest:
            raise VersionImmutable(
                f"version {existing.head.version!r} of code {existing.head.name!r} is registered with other content: "
                "register a new version",
                target=_TARGET,
            )

    def content_registered(self, work: UnitOfWork, workspace: Workspace, spec: CodeVersionSpec) -> None:
        self._uploads.end(work, workspace, spec.code_uri)


def _is_same(workspace: Workspace, uri: str, source: FileSource) -> bool:
    known = FileSource.in_uri(workspace, uri, target=_TARGET)
    return known is not None and known.uri == source.uri
