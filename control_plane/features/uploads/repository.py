"""Uploads in the database."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, func, select
from sqlalchemy.orm import Session

from control_plane.resources.uploads.upload import Chunk, SentPart, UploadedFile
from modelyard.core.db.rows import (
    DataRow,
    DataVersionRow,
    ModelRow,
    ModelVersionRow,
    UploadChunkRow,
    UploadRow,
    WorkspaceRow,
)
from modelyard.core.errors import ResourceNotFound

LIFETIME = timedelta(hours=24)


def start_upload(session: Session, workspace_key: int) -> UUID:
    row = UploadRow(workspace_id=workspace_key, expires_at=func.now() + LIFETIME)
    session.add(row)
    session.flush()
    return row.id


def lock_upload(session: Session, upload_id: UUID) -> None:
    """Lock the upload for the rest of the transaction. Raises ResourceNotFound."""
    found = session.scalar(select(UploadRow.id).where(UploadRow.id == upload_id).with_for_update())
    if found is None:
        raise ResourceNotFound(
            "this upload has ended: the version is registered, or a day has passed; start a new upload"
        )


def workspace_of(session: Session, upload_id: UUID) -> WorkspaceRow:
    return session.scalars(
        select(WorkspaceRow).join(UploadRow, UploadRow.workspace_id == WorkspaceRow.id).where(UploadRow.id == upload_id)
    ).one()


def is_registered(session: Session, workspace_key: int, sha256: str) -> bool:
    """Whether a model or data version of the workspace has a file with the content."""
    content = [{"sha256": sha256}]
    of_models = (
        select(ModelVersionRow.id)
        .join(ModelRow)
        .where(ModelRow.workspace_id == workspace_key, ModelVersionRow.manifest.contains(content))
    )
    of_data = (
        select(DataVersionRow.id)
        .join(DataRow)
        .where(DataRow.workspace_id == workspace_key, DataVersionRow.manifest.contains(content))
    )
    return bool(session.scalar(select(exists(of_models) | exists(of_data))))


def find_file(session: Session, upload_id: UUID, path: str) -> UploadedFile | None:
    return next(iter(_files(session, UploadChunkRow.upload_id == upload_id, UploadChunkRow.path == path)), None)


def list_files(session: Session, workspace_key: int, upload_id: UUID) -> Sequence[UploadedFile]:
    own = select(UploadRow.id).where(UploadRow.id == upload_id, UploadRow.workspace_id == workspace_key)
    return _files(session, UploadChunkRow.upload_id.in_(own))


def size_of_other_files(session: Session, upload_id: UUID, path: str) -> int:
    """Bytes of the files of the upload, without the file at `path`."""
    total = select(func.coalesce(func.sum(UploadChunkRow.size), 0))
    return int(session.scalar(total.where(UploadChunkRow.upload_id == upload_id, UploadChunkRow.path != path)) or 0)


def record_chunk(session: Session, upload_id: UUID, path: str, part: SentPart, chunk: Chunk) -> None:
    session.add(
        UploadChunkRow(
            upload_id=upload_id,
            path=path,
            start=chunk.start,
            size=chunk.size,
            total=part.total,
            sha256=chunk.sha256,
            file_sha256=part.sha256,
            key=chunk.key,
        )
    )


def remove_chunks(session: Session, upload_id: UUID, path: str, *, start: int) -> Sequence[str]:
    """Remove the chunks of a file from `start` on. Returns the keys of the chunks in the object store."""
    chunks = (
        UploadChunkRow.upload_id == upload_id,
        UploadChunkRow.path == path,
        UploadChunkRow.start >= start,
    )
    return list(session.scalars(delete(UploadChunkRow).where(*chunks).returning(UploadChunkRow.key)))


def remove_upload(session: Session, workspace_key: int, upload_id: UUID) -> Sequence[str]:
    """Remove an upload of the workspace. Returns the keys of the upload's chunks in the object store."""
    own = (UploadRow.id == upload_id, UploadRow.workspace_id == workspace_key)
    keys = session.scalars(select(UploadChunkRow.key).join(UploadRow).where(*own)).all()
    session.execute(delete(UploadRow).where(*own))
    return keys


def _files(session: Session, *conditions: ColumnElement[bool]) -> Sequence[UploadedFile]:
    rows = session.scalars(
        select(UploadChunkRow).where(*conditions).order_by(UploadChunkRow.path, UploadChunkRow.start)
    )
    return [_file(path, list(chunks)) for path, chunks in groupby(rows, key=lambda row: row.path)]


def _file(path: str, rows: list[UploadChunkRow]) -> UploadedFile:
    chunks = tuple(Chunk(row.start, row.size, row.sha256, row.key) for row in rows)
    return UploadedFile(path, chunks, rows[-1].total, rows[-1].file_sha256)
