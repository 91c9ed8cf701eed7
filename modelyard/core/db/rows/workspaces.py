"""Workspaces and computes."""

from typing import Any

from sqlalchemy import Index, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from modelyard.core.db.rows.base import Authored, Base, NamedResource
from modelyard.core.domain.job_files import DATASTORES, datastores_folder


class WorkspaceRow(Authored, Base):
    __tablename__ = "workspaces"
    __table_args__ = (
        Index(
            "uq_workspaces_path",
            text("lower(subscription)"),
            text("lower(resource_group)"),
            text("lower(name)"),
            unique=True,
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    subscription: Mapped[str]
    resource_group: Mapped[str]
    name: Mapped[str]
    location: Mapped[str] = mapped_column(default="local")
    has_first_datastores: Mapped[bool] = mapped_column(server_default=false(), default=False)
    """The files of the platform's first workspace lie directly below `datastores/`."""

    @property
    def datastores(self) -> str:
        """Folder of the data stores in the object store."""
        return DATASTORES if self.has_first_datastores else datastores_folder(self.id)


class DatastoreRemovalRow(Base):
    """The folder of a deleted workspace's data stores, until the sweep has removed the files."""

    __tablename__ = "datastore_removals"

    folder: Mapped[str] = mapped_column(primary_key=True)


class ComputeRow(NamedResource, Base):
    """A recorded compute. The workers of this platform do the work, whatever the compute's type."""

    __tablename__ = "computes"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    collection = "computes"
    location: Mapped[str] = mapped_column(default="local")
    body: Mapped[dict[str, Any]] = mapped_column(default=dict)
