"""Datastores, and the facts about blobs that the object store does not hold."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.core.db.rows.base import Base, NamedResource


class DatastoreRow(NamedResource, Base):
    """A datastore that a user created. The default datastores of a workspace have no row."""

    __tablename__ = "datastores"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    collection = "datastores"
    description: Mapped[str | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)


class BlobPropertiesRow(Base):
    """Properties of one version of a blob. A row whose etag is not the object's belongs to a replaced version."""

    __tablename__ = "blob_properties"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True)
    store: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    etag: Mapped[str]
    revision: Mapped[int] = mapped_column(default=0)
    """Number of changes of the properties since the content was written."""
    headers: Mapped[dict[str, str]] = mapped_column(default=dict)
    """Content-Type, Content-MD5 and their like, by name in lower case."""
    user_metadata: Mapped[dict[str, str]] = mapped_column(default=dict)
    blocks: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    """Committed blocks as [id, size]. None: the content came in one piece."""
    modified_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class BlobBlockRow(Base):
    """An uncommitted block of a blob."""

    __tablename__ = "blob_blocks"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id", ondelete="CASCADE"), primary_key=True)
    store: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(primary_key=True)
    block_id: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    object_id: Mapped[UUID]
    """Names the temporary object."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
