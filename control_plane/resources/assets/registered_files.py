"""Registered files under the URI of their version.

A version that was uploaded answers `…/paths/uploads/<upload id>/<folder>`, where no object lies: the content lies under
its hash. Clients of Azure read that place all the same, so the place shows the files of the version.
"""

import re
from collections.abc import Iterator, Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from control_plane.resources.input_files import from_manifest
from control_plane.resources.uploads.upload import UploadReference
from modelyard.core.db.rows import DataRow, DataVersionRow, ModelRow, ModelVersionRow
from modelyard.core.domain.batch import InputFile
from modelyard.core.domain.job_files import DEFAULT_DATASTORE
from modelyard.core.domain.model_manifest import ModelManifest

_UPLOAD = re.compile(r"uploads/(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/", re.I)


def upload_of(store: str, path: str) -> UUID | None:
    """The upload in whose folder a path of a datastore lies. None: the path lies elsewhere."""
    found = _UPLOAD.match(path) if store == DEFAULT_DATASTORE else None
    return None if found is None else UUID(found["id"])


def registered_files(session: Session, workspace_key: int, upload_id: UUID) -> Mapping[str, InputFile]:
    """The files of the versions that the upload became, by path in the default datastore, in the order of paths."""
    files = {file.path: file for file in _files(session, workspace_key, upload_id)}
    return dict(sorted(files.items()))


def _files(session: Session, workspace_key: int, upload_id: UUID) -> Iterator[InputFile]:
    models = (
        select(ModelVersionRow)
        .join(ModelRow)
        .where(ModelRow.workspace_id == workspace_key, ModelVersionRow.upload_id == upload_id)
    )
    for model in session.scalars(models):
        reference = UploadReference.in_uri(model.model_uri)
        above = f"uploads/{upload_id}/{reference.parent if reference else ''}"
        for file in ModelManifest.from_list(model.manifest).files:
            yield InputFile(f"{above}{file.path}", file.key, file.size)
    data = (
        select(DataVersionRow)
        .join(DataRow)
        .where(DataRow.workspace_id == workspace_key, DataVersionRow.upload_id == upload_id)
    )
    for version in session.scalars(data):
        reference = UploadReference.in_uri(version.data_uri)
        place = f"uploads/{upload_id}/{reference.path if reference else ''}"
        for each in from_manifest(version.manifest) or ():
            path = place if version.data_type == "uri_file" else f"{place}/{each.path}"
            yield InputFile(path, each.key, each.size)
