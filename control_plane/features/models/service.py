"""Registering models, and downloading the files of models."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from control_plane.features.models.content import ModelContentReader
from control_plane.features.models.model_version import ModelContent, ModelVersion, ModelVersionSpec
from control_plane.resources.assets.asset import VersionHead
from control_plane.resources.assets.model_type import ModelType
from control_plane.resources.assets.repository import MODELS
from control_plane.resources.assets.service import VersionedAssets
from control_plane.resources.deployments.users import find_deployment_with
from control_plane.resources.uploads.port import UploadedFiles
from control_plane.resources.uploads.source import FileSource
from control_plane.resources.workspaces.workspace import Workspace, WorkspacePath
from control_plane.signed_urls import Grant, Permission, UrlSigner
from modelyard.core.db.rows import GenerationRow, ModelRow, ModelVersionRow
from modelyard.core.db.unit_of_work import Sessions, UnitOfWork
from modelyard.core.domain.caller import Caller
from modelyard.core.domain.model_manifest import ModelFile, ModelManifest
from modelyard.core.errors import Conflict, ResourceNotFound, VersionImmutable
from modelyard.core.ports.object_store import ObjectMissing, ObjectStore


class Models(VersionedAssets[ModelRow, ModelVersionRow, ModelVersionSpec, ModelContent, ModelVersion]):
    def __init__(self, sessions: Sessions, store: ObjectStore, uploads: UploadedFiles, signer: UrlSigner) -> None:
        super().__init__(sessions, MODELS)
        self._store = store
        self._uploads = uploads
        self._signer = signer
        self._reader = ModelContentReader(uploads)

    def to_version(self, head: VersionHead, row: ModelVersionRow) -> ModelVersion:
        return ModelVersion(head, row.model_type, row.model_uri, ModelManifest.from_list(row.manifest), row.flavors)

    def new_content(
        self, workspace: Workspace, existing: ModelVersion | None, spec: ModelVersionSpec
    ) -> ModelContent | None:
        if existing is not None and spec.model_uri is None:
            return None
        source = FileSource.read(workspace, spec.model_uri or "", target="properties.modelUri")
        if existing is not None and existing.model_uri == source.uri:
            return None
        return self._reader.read(workspace, source, spec.model_type or ModelType.CUSTOM)

    def columns(self, spec: ModelVersionSpec, content: ModelContent) -> dict[str, Any]:
        return {
            "model_type": spec.model_type or ModelType.CUSTOM,
            "model_uri": content.uri,
            "folder_name": content.folder_name,
            "manifest": content.manifest.to_list(),
            "manifest_hash": content.manifest.digest,
            "flavors": dict(content.flavors),
        }

    def check_unchanged(self, existing: ModelVersion, spec: ModelVersionSpec, content: ModelContent | None) -> None:
        name = f"version {existing.head.version!r} of model {existing.head.name!r}"
        if content is not None and content.manifest.digest != existing.manifest.digest:
            raise VersionImmutable(
                f"{name} is registered with other content: register a new version", target="properties.modelUri"
            )
        if spec.model_type is not None and spec.model_type != existing.model_type:
            raise VersionImmutable(
                f"{name} is a {existing.model_type}, and a version's type cannot change: register a new version",
                target="properties.modelType",
            )

    def check_unused(self, session: Session, rows: Sequence[ModelVersionRow]) -> None:
        uses_model = GenerationRow.model_version_id.in_([row.id for row in rows])
        user = find_deployment_with(session, uses_model, current_only=True)
        if user is not None:
            raise Conflict(
                f"deployment {user.name!r} of endpoint {user.endpoint.name!r} uses this model: delete or update the "
                "deployment first, or archive the model instead"
            )
        # Retired generations refer to the model, and are of no use without the model.
        session.execute(delete(GenerationRow).where(uses_model))

    def content_registered(self, work: UnitOfWork, workspace: Workspace, spec: ModelVersionSpec) -> None:
        self._uploads.end(work, workspace, spec.model_uri)

    # Files.

    def files(self, caller: Caller, path: WorkspacePath, name: str, version: str) -> Iterator[tuple[ModelFile, str]]:
        """Every file, with the signed query string for its download."""
        found = self.get_version(caller, path, name, version)
        now = datetime.now(UTC)
        return ((file, self._signer.query(_grant(file.sha256), now=now)) for file in found.manifest.files)

    def content(self, caller: Caller, sha256: str, query: Mapping[str, str]) -> tuple[int, Iterator[bytes]]:
        """Size in bytes and content of a file. Raises UploadUrlExpired unless `query` is signed for this file."""
        self._signer.check(_grant(sha256), query, now=datetime.now(UTC))
        key = ModelFile("-", sha256, 0).key
        try:
            return self._store.size(key), self._store.get(key)
        except ObjectMissing:
            raise ResourceNotFound("this content is no longer stored: the model was deleted") from None


def _grant(sha256: str) -> Grant:
    return Grant(Permission.DOWNLOAD_BLOB, sha256)
