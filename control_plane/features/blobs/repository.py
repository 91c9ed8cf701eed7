"""Containers, properties of blobs, and uncommitted blocks in the database."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, delete, exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from control_plane.features.blobs.blob import Blob, ContainerAccess, UncommittedBlock
from control_plane.resources.blob_container import BlobContainer
from control_plane.resources.workspaces.repository import workspace_of
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.db.rows import BlobBlockRow, BlobPropertiesRow, DatastoreRow, WorkspaceRow
from modelyard.core.domain.job_files import BUILT_IN_DATASTORES
from modelyard.core.ports.object_store import StoredObject

BLOCKS = "blocks/"
"""Prefix of the temporary objects of blocks."""
LIFETIME = timedelta(days=1)
_MOST_KEY = 2**31 - 1


def workspace_with(session: Session, container: BlobContainer) -> Workspace | None:
    """The workspace of the container. None: the workspace or the datastore does not exist."""
    if container.workspace_key > _MOST_KEY or session.get(WorkspaceRow, container.workspace_key) is None:
        return None
    if container.store not in BUILT_IN_DATASTORES:
        named = (DatastoreRow.workspace_id == container.workspace_key, DatastoreRow.name == container.store)
        if not session.scalar(select(exists().where(*named))):
            return None
    return workspace_of(session, container.workspace_key)


# Properties.


def with_properties(
    session: Session, access: ContainerAccess, objects: Collection[StoredObject], *, with_blocks: bool = False
) -> Iterator[Blob]:
    """Yield the blobs of stored objects, with the properties that belong to the object's present version."""
    names = {found.key.removeprefix(access.base): found for found in objects}
    columns = [
        BlobPropertiesRow.path,
        BlobPropertiesRow.etag,
        BlobPropertiesRow.revision,
        BlobPropertiesRow.headers,
        BlobPropertiesRow.user_metadata,
        BlobPropertiesRow.modified_at,
        *([BlobPropertiesRow.blocks] if with_blocks else []),
    ]
    query = select(*columns).where(*_in_container(BlobPropertiesRow, access), BlobPropertiesRow.path.in_(names))
    rows = {row.path: row for row in session.execute(query)}
    for name, found in names.items():
        row = rows.get(name)
        if row is None or row.etag != found.etag:
            yield Blob(name, found.key, found.size, found.etag, found.modified_at)
            continue
        blocks = tuple((block_id, size) for block_id, size in (row.blocks or ())) if with_blocks else ()
        changed_at = max(found.modified_at, row.modified_at) if row.revision else found.modified_at
        yield Blob(
            name, found.key, found.size, found.etag, changed_at, row.revision, row.headers, row.user_metadata, blocks
        )


def record_properties(
    session: Session,
    access: ContainerAccess,
    name: str,
    etag: str,
    *,
    revision: int,
    headers: Mapping[str, str],
    metadata: Mapping[str, str],
    blocks: Sequence[tuple[str, int]],
) -> None:
    values = {
        "etag": etag,
        "revision": revision,
        "headers": dict(headers),
        "user_metadata": dict(metadata),
        "blocks": [list(block) for block in blocks] or None,
        "modified_at": func.now(),
    }
    key = {"workspace_id": access.workspace.key, "store": access.store, "path": name}
    statement = insert(BlobPropertiesRow).values(**key, **values)
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def remove_properties(session: Session, access: ContainerAccess, name: str) -> None:
    session.execute(
        delete(BlobPropertiesRow).where(*_in_container(BlobPropertiesRow, access), BlobPropertiesRow.path == name)
    )


# Blocks.


def block_of(session: Session, access: ContainerAccess, name: str, block_id: str) -> tuple[int, int, str | None]:
    """Number and bytes of the blob's other uncommitted blocks, and the key of this block's present object."""
    is_same = BlobBlockRow.block_id == block_id
    query = select(
        func.count().filter(~is_same),
        func.coalesce(func.sum(BlobBlockRow.size).filter(~is_same), 0),
        func.min(cast(BlobBlockRow.object_id, Text)).filter(is_same),
    )
    count, size, present = session.execute(query.where(*_of_blob(access, name))).one()
    return int(count), int(size), None if present is None else block_key(UUID(present))


def record_block(
    session: Session, access: ContainerAccess, name: str, block_id: str, size: int, object_id: UUID
) -> None:
    key = {"workspace_id": access.workspace.key, "store": access.store, "path": name, "block_id": block_id}
    values = {"size": size, "object_id": object_id, "created_at": func.now()}
    statement = insert(BlobBlockRow).values(**key, **values)
    session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def uncommitted_blocks(session: Session, access: ContainerAccess, name: str) -> Sequence[UncommittedBlock]:
    query = select(BlobBlockRow.block_id, BlobBlockRow.size, BlobBlockRow.object_id)
    rows = session.execute(
        query.where(*_of_blob(access, name)).order_by(BlobBlockRow.created_at, BlobBlockRow.block_id)
    )
    return [UncommittedBlock(block_id, size, block_key(object_id)) for block_id, size, object_id in rows]


def remove_blocks(session: Session, access: ContainerAccess, name: str) -> Sequence[str]:
    """Returns the keys of the objects."""
    removed = session.scalars(delete(BlobBlockRow).where(*_of_blob(access, name)).returning(BlobBlockRow.object_id))
    return [block_key(object_id) for object_id in removed]


def remove_expired_blocks(session: Session) -> None:
    session.execute(delete(BlobBlockRow).where(BlobBlockRow.created_at < func.now() - LIFETIME))


def block_key(object_id: UUID) -> str:
    return f"{BLOCKS}{object_id.hex}"


def _of_blob(access: ContainerAccess, name: str) -> tuple[ColumnElement[bool], ...]:
    return (*_in_container(BlobBlockRow, access), BlobBlockRow.path == name)


def _in_container(
    table: type[BlobBlockRow] | type[BlobPropertiesRow], access: ContainerAccess
) -> tuple[ColumnElement[bool], ...]:
    return table.workspace_id == access.workspace.key, table.store == access.store
