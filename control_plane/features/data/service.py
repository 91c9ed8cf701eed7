"""Registering data assets, and describing them."""

from control_plane.features.data import repository
from control_plane.features.data.content import DataReader
from control_plane.features.data.data_version import DataContent, DataType, DataVersion, DataVersionSpec
from control_plane.features.uploads.service import Uploads
from control_plane.resources.assets.asset import VersionQuery
from control_plane.resources.assets.repository import DATA
from control_plane.resources.assets.service import Containers
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.uploads.upload import UploadReference, stored_uri
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import WorkspacePath
from modelyard.core.db.rows import DataRow, DataVersionRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.names import check_asset_name, check_version
from modelyard.core.errors import VersionImmutable


class Data(Containers[DataRow, DataVersionRow]):
    def __init__(self, sessions: Sessions, uploads: Uploads) -> None:
        super().__init__(sessions, DATA)
        self._uploads = uploads
        self._reader = DataReader(uploads)

    def delete(self, path: WorkspacePath, name: str) -> bool:
        """With all its versions. False: it is not there."""
        with transaction(self._sessions) as work:
            return repository.remove_data(work.session, get_workspace(work.session, path), name)

    # Versions.

    def list_versions(self, path: WorkspacePath, name: str, query: VersionQuery, page: Page) -> PageResult[DataVersion]:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            return PageResult.of(repository.list_versions(work.session, workspace, name, query, page), page)

    def get_version(self, path: WorkspacePath, name: str, version: str) -> DataVersion:
        with transaction(self._sessions) as work:
            return repository.get_version(work.session, get_workspace(work.session, path), name, version)

    def put_version(
        self, path: WorkspacePath, name: str, version: str, spec: DataVersionSpec
    ) -> tuple[DataVersion, bool]:
        """The version, and whether it is new."""
        check_asset_name(name, noun=DATA.noun)
        check_version(version, noun=DATA.noun)
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            existing = repository.find_version(work.session, workspace, name, version)
        # No transaction is open: files may be large.
        content = self._new_content(workspace.path, existing, spec)
        with transaction(self._sessions) as work:
            repository.lock_data(work.session, workspace, name)
            existing = repository.find_version(work.session, workspace, name, version)
            if existing is not None:
                _check_same(existing, spec, content)
                found = repository.describe_version(work.session, existing, spec)
            elif content is not None:
                found = repository.add_version(work.session, workspace, name, version, spec, content)
            else:
                raise DATA.missing(workspace, name, version)
            reference = UploadReference.in_uri(spec.data_uri or "")
            if content is not None and reference is not None:
                self._uploads.end(work, reference.upload_id)
        return found, existing is None

    def delete_version(self, path: WorkspacePath, name: str, version: str) -> bool:
        """False: it is not there."""
        with transaction(self._sessions) as work:
            return repository.remove_version(work.session, get_workspace(work.session, path), name, version)

    def _new_content(
        self, workspace: WorkspacePath, existing: DataVersion | None, spec: DataVersionSpec
    ) -> DataContent | None:
        """What the spec brings; None when it names what the version already has."""
        uri = stored_uri(workspace, spec.data_uri or "")
        if existing is not None and (spec.data_uri is None or existing.content.uri == uri):
            return None
        return self._reader.take(workspace, spec.data_uri or "", spec.data_type or DataType.URI_FOLDER)


def _check_same(existing: DataVersion, spec: DataVersionSpec, content: DataContent | None) -> None:
    named = f"version {existing.head.version!r} of data asset {existing.head.name!r}"
    old = existing.content
    if content is not None and (content.files != old.files or (content.files is None and content.uri != old.uri)):
        raise VersionImmutable(
            f"{named} is registered with other content: register a new version", target="properties.dataUri"
        )
    if spec.data_type not in (None, old.data_type):
        raise VersionImmutable(
            f"{named} is a {old.data_type} and stays one: register a new version", target="properties.dataType"
        )
