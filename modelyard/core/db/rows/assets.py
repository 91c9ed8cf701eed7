"""Versioned assets: models, environments and data. A name's row holds its versions' rows."""

from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from modelyard.core.db.rows.base import CASCADE, Authored, Base


class Asset(Authored):
    """What a model or environment has in common with each of its versions."""

    description: Mapped[str | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    is_archived: Mapped[bool] = mapped_column(default=False)


class ModelRow(Asset, Base):
    """A model's name; its versions hold the files."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]
    versions: Mapped[list["ModelVersionRow"]] = relationship(back_populates="model", cascade=CASCADE)


class ModelVersionRow(Asset, Base):
    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), index=True)
    version: Mapped[str]
    model_type: Mapped[str]
    model_uri: Mapped[str]
    folder_name: Mapped[str]
    """The registered folder's own name, the first part of every path in the manifest."""
    manifest: Mapped[list[dict[str, Any]]]
    manifest_hash: Mapped[str]
    flavors: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_anonymous: Mapped[bool] = mapped_column(default=False)
    model: Mapped[ModelRow] = relationship(back_populates="versions")


class EnvironmentRow(Asset, Base):
    __tablename__ = "environments"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]
    versions: Mapped[list["EnvironmentVersionRow"]] = relationship(back_populates="environment", cascade=CASCADE)


class EnvironmentVersionRow(Asset, Base):
    __tablename__ = "environment_versions"
    __table_args__ = (UniqueConstraint("environment_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), index=True)
    version: Mapped[str]
    conda_file: Mapped[str]
    image: Mapped[str | None]
    """Recorded and given back; on one machine there is no image to start from."""
    is_anonymous: Mapped[bool] = mapped_column(default=False)
    environment: Mapped[EnvironmentRow] = relationship(back_populates="versions")


class DataRow(Asset, Base):
    """A data asset's name; its versions hold the files."""

    __tablename__ = "data_assets"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"))
    name: Mapped[str]
    versions: Mapped[list["DataVersionRow"]] = relationship(back_populates="data", cascade=CASCADE)


class DataVersionRow(Asset, Base):
    __tablename__ = "data_versions"
    __table_args__ = (UniqueConstraint("data_id", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    data_id: Mapped[int] = mapped_column(ForeignKey("data_assets.id"), index=True)
    version: Mapped[str]
    data_type: Mapped[str]
    """uri_file or uri_folder."""
    data_uri: Mapped[str]
    manifest: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    """Of the files that were uploaded for it. None: whatever lies at `data_uri` when a job begins."""
    is_anonymous: Mapped[bool] = mapped_column(default=False)
    data: Mapped[DataRow] = relationship(back_populates="versions")
