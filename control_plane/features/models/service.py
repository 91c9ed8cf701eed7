"""Registering models, describing them, and giving their files back."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from control_plane.features.models import repository
from control_plane.features.models.content import ContentReader
from control_plane.features.models.model_version import ModelContent, ModelType, ModelVersion, ModelVersionSpec
from control_plane.features.uploads.service import Uploads
from control_plane.resources.assets.asset import VersionQuery
from control_plane.resources.assets.repository import MODELS
from control_plane.resources.assets.service import Containers
from control_plane.resources.paging import Page, PageResult
from control_plane.resources.uploads.upload import UploadReference, stored_uri
from control_plane.resources.workspaces.repository import get_workspace
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from control_plane.signed_urls import Grant, Permission, UrlSigner
from modelyard.core.db.rows import ModelRow, ModelVersionRow
from modelyard.core.db.unit_of_work import Sessions, transaction
from modelyard.core.domain.model_manifest import ModelFile
from modelyard.core.domain.names import check_asset_name, check_version
from modelyard.core.errors import InvalidRequest, ResourceNotFound, VersionImmutable
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore


class Models(Containers[ModelRow, ModelVersionRow]):
    def __init__(self, sessions: Sessions, store: ObjectStore, uploads: Uploads, signer: UrlSigner) -> None:
        super().__init__(sessions, MODELS)
        self._store = store
        self._uploads = uploads
        self._signer = signer
        self._reader = ContentReader(uploads)

    def delete(self, path: WorkspacePath, name: str) -> bool:
        """With all its versions. False: it is not there."""
        with transaction(self._sessions) as work:
            return repository.remove_model(work.session, get_workspace(work.session, path), name)

    # Versions.

    def list_versions(
        self, path: WorkspacePath, name: str, query: VersionQuery, page: Page
    ) -> PageResult[ModelVersion]:
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            return PageResult.of(repository.list_versions(work.session, workspace, name, query, page), page)

    def get_version(self, path: WorkspacePath, name: str, version: str) -> ModelVersion:
        with transaction(self._sessions) as work:
            return repository.get_version(work.session, get_workspace(work.session, path), name, version)

    def put_version(
        self, path: WorkspacePath, name: str, version: str, spec: ModelVersionSpec
    ) -> tuple[ModelVersion, bool]:
        """The version, and whether it is new."""
        check_asset_name(name, noun=MODELS.noun)
        check_version(version, noun=MODELS.noun)
        with transaction(self._sessions) as work:
            workspace = get_workspace(work.session, path)
            existing = repository.find_version(work.session, workspace, name, version)
        # No transaction is open: files may be large.
        content = self._new_content(workspace, existing, spec)
        with transaction(self._sessions) as work:
            repository.lock_model(work.session, workspace, name)
            existing = repository.find_version(work.session, workspace, name, version)
            if existing is not None:
                _check_same(existing, spec, content)
                found = repository.describe_version(work.session, existing, spec)
            elif content is not None:
                found = repository.add_version(work.session, workspace, name, version, spec, content)
            else:
                raise MODELS.missing(workspace, name, version)
            reference = UploadReference.in_uri(spec.model_uri or "")
            if content is not None and reference is not None:
                self._uploads.end(work, reference.upload_id)
        return found, existing is None

    def delete_version(self, path: WorkspacePath, name: str, version: str) -> bool:
        """False: it is not there."""
        with transaction(self._sessions) as work:
            return repository.remove_version(work.session, get_workspace(work.session, path), name, version)

    def _new_content(
        self, workspace: Workspace, existing: ModelVersion | None, spec: ModelVersionSpec
    ) -> ModelContent | None:
        """The files that the spec brings; None when it names those that the version already has."""
        uri = stored_uri(workspace.path, spec.model_uri or "")
        if existing is not None and (spec.model_uri is None or existing.model_uri == uri):
            return None
        reference = UploadReference.in_uri(spec.model_uri or "")
        if reference is None:
            raise InvalidRequest(
                "modelUri must be the blobUri of an upload, with the uploaded folder behind it: "
                "POST …/startPendingUpload first",
                target="properties.modelUri",
            )
        return self._reader.take(reference, uri, spec.model_type or ModelType.CUSTOM)

    # Files.

    def files(self, path: WorkspacePath, name: str, version: str) -> Iterator[tuple[ModelFile, str]]:
        """Every file, with the query that allows its content to be fetched."""
        found = self.get_version(path, name, version)
        now = datetime.now(UTC)
        return ((file, self._signer.query(_grant(file.sha256), now=now)) for file in found.manifest.files)

    def content(self, sha256: str, query: Mapping[str, str]) -> tuple[int, Iterator[bytes]]:
        """Size and bytes of a file, for whoever has its signed URL."""
        self._signer.check(_grant(sha256), query, now=datetime.now(UTC))
        key = ModelFile("-", sha256, 0).key
        try:
            return self._store.size(key), self._store.get(key)
        except ObjectMissing:
            raise ResourceNotFound("this content is no longer here: its model was deleted") from None


def _grant(sha256: str) -> Grant:
    return Grant(Permission.DOWNLOAD_BLOB, sha256)


def _check_same(existing: ModelVersion, spec: ModelVersionSpec, content: ModelContent | None) -> None:
    named = f"version {existing.head.version!r} of model {existing.head.name!r}"
    if content is not None and content.manifest.digest != existing.manifest.digest:
        raise VersionImmutable(
            f"{named} is registered with other content: register a new version", target="properties.modelUri"
        )
    if spec.model_type is not None and spec.model_type != existing.model_type:
        raise VersionImmutable(
            f"{named} is a {existing.model_type} and stays one: register a new version", target="properties.modelType"
        )
