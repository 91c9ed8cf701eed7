"""Versioned assets: models, environments, data and codes. The row of a name holds the rows of the versions."""

import re
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from modelyard.core.db.rows.base import CASCADE, Authored, Base, NamedResource

_UPLOAD = re.compile(r"/paths/uploads/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/", re.I)


class Asset(Authored):
    """Columns of a named asset and of each version."""

    id: Mapped[int] = mapped_column(primary_key=True)
    description: Mapped[str | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    properties: Mapped[dict[str, str]] = mapped_column(default=dict)
    is_archived: Mapped[bool] = mapped_column(default=False)


class AssetContainer(Asset, NamedResource):
    """A named asset. The versions hold the content."""


class AssetVersion(Asset):
    version: Mapped[str]
    is_anonymous: Mapped[bool] = mapped_column(default=False)

    @property
    def container(self) -> AssetContainer:
        raise NotImplementedError


class ModelRow(AssetContainer, Base):
    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    collection = "models"
    versions: Mapped[list["ModelVersionRow"]] = relationship(back_populates="model", cascade=CASCADE)


class ModelVersionRow(AssetVersion, Base):
    __tablename__ = "model_versions"
    __table_args__ = (UniqueConstraint("model_id", "version"),)

    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"), index=True)
    model_type: Mapped[str]
    model_uri: Mapped[str]
    upload_id: Mapped[UUID | None] = mapped_column(index=True)
    """The upload that the URI names: clients read the registered files there."""
    folder_name: Mapped[str]
    """Name of the registered folder, the first part of every path in the manifest."""
    manifest: Mapped[list[dict[str, Any]]]
    manifest_hash: Mapped[str]
    flavors: Mapped[dict[str, Any]] = mapped_column(default=dict)
    model: Mapped[ModelRow] = relationship(back_populates="versions")

    @validates("model_uri")
    def _note_upload(self, _: str, uri: str) -> str:
        self.upload_id = _upload_in(uri)
        return uri

    @property
    def container(self) -> ModelRow:
        return self.model


class EnvironmentRow(AssetContainer, Base):
    __tablename__ = "environments"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    collection = "environments"
    versions: Mapped[list["EnvironmentVersionRow"]] = relationship(back_populates="environment", cascade=CASCADE)


class EnvironmentVersionRow(AssetVersion, Base):
    __tablename__ = "environment_versions"
    __table_args__ = (UniqueConstraint("environment_id", "version"),)

    environment_id: Mapped[int] = mapped_column(ForeignKey("environments.id"), index=True)
    conda_file: Mapped[str | None]
    """None: the version names an image alone, and no deployment can be built from the version."""
    image: Mapped[str | None]
    """Recorded and returned; environments are built without images."""
    environment: Mapped[EnvironmentRow] = relationship(back_populates="versions")

    @property
    def container(self) -> EnvironmentRow:
        return self.environment


class DataRow(AssetContainer, Base):
    __tablename__ = "data_assets"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    collection = "data"
    versions: Mapped[list["DataVersionRow"]] = relationship(back_populates="data", cascade=CASCADE)


class DataVersionRow(AssetVersion, Base):
    __tablename__ = "data_versions"
    __table_args__ = (UniqueConstraint("data_id", "version"),)

    data_id: Mapped[int] = mapped_column(ForeignKey("data_assets.id"), index=True)
    data_type: Mapped[str]
    """uri_file, uri_folder or mltable."""
    data_uri: Mapped[str]
    upload_id: Mapped[UUID | None] = mapped_column(index=True)
    """The upload that the URI names: clients read the registered files there."""
    manifest: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    """Manifest of the uploaded files. None: a job reads the files at `data_uri` when the job begins."""
    data: Mapped[DataRow] = relationship(back_populates="versions")

    @validates("data_uri")
    def _note_upload(self, _: str, uri: str) -> str:
        self.upload_id = _upload_in(uri)
        return uri

    @property
    def container(self) -> DataRow:
        return self.data


class CodeRow(AssetContainer, Base):
    __tablename__ = "codes"
    __table_args__ = (UniqueConstraint("workspace_id", "name"),)

    collection = "codes"
    versions: Mapped[list["CodeVersionRow"]] = relationship(back_populates="code", cascade=CASCADE)


class CodeVersionRow(AssetVersion, Base):
    __tablename__ = "code_versions"
    __table_args__ = (UniqueConstraint("code_id", "version"),)

    code_id: Mapped[int] = mapped_column(ForeignKey("codes.id"), index=True)
    code_uri: Mapped[str]
    folder_name: Mapped[str]
    """Name of the registered folder, the first part of every path in the manifest."""
    manifest: Mapped[list[dict[str, Any]]]
    manifest_hash: Mapped[str]
    client_hash: Mapped[str | None] = mapped_column(index=True)
    """The property `hash_sha256` of the first PUT, by which Azure's SDK finds the same code again."""
    client_hash_version: Mapped[str | None]
    """The property `hash_version`: the SDK's way of hashing a folder."""
    code: Mapped[CodeRow] = relationship(back_populates="versions")

    @property
    def container(self) -> CodeRow:
        return self.code


def _upload_in(uri: str) -> UUID | None:
    found = _UPLOAD.search(uri)
    return None if found is None else UUID(found[1])
