"""Data assets as JSON."""

from pydantic import Field

from control_plane.features.data.data_version import DataType, DataVersion, DataVersionSpec
from control_plane.resources.arm_body import ArmBody
from control_plane.resources.assets.schemas import (
    VersionProperties,
    VersionRequestProperties,
    version_properties,
    version_resource,
)
from control_plane.resources.resource import Resource
from modelyard.core.errors import InvalidRequest


class DataVersionRequestProperties(VersionRequestProperties):
    data_type: str | None = None
    """uri_file, uri_folder or mltable."""
    data_uri: str | None = None


class DataVersionRequest(ArmBody):
    properties: DataVersionRequestProperties

    def to_spec(self) -> DataVersionSpec:
        requested = self.properties
        return DataVersionSpec(
            is_anonymous=bool(requested.is_anonymous),
            description=requested.to_description(),
            data_type=None if requested.data_type is None else _data_type(requested.data_type),
            data_uri=requested.data_uri,
        )


class DatasetPath(ArmBody):
    folder: str | None = None
    file: str | None = None


class DatasetVersionRequestProperties(VersionRequestProperties):
    paths: list[DatasetPath] = Field(min_length=1, max_length=1)


class DatasetVersionRequest(ArmBody):
    """A data version in the words of Azure's first REST samples."""

    properties: DatasetVersionRequestProperties

    def to_spec(self) -> DataVersionSpec:
        requested = self.properties
        (path,) = requested.paths
        if (path.folder is None) == (path.file is None):
            raise InvalidRequest("a path of a dataset has either folder or file", target="properties.paths")
        return DataVersionSpec(
            is_anonymous=bool(requested.is_anonymous),
            description=requested.to_description(),
            data_type=DataType.URI_FOLDER if path.file is None else DataType.URI_FILE,
            data_uri=path.folder or path.file,
        )


def _data_type(text: str) -> DataType:
    spelled = text.replace("_", "").lower()
    for data_type in DataType:
        if data_type.replace("_", "") == spelled:
            return data_type
    known = ", ".join(DataType)
    raise InvalidRequest(f"dataType is one of {known}, not {text!r}", target="properties.dataType")


class DataVersionProperties(VersionProperties):
    data_type: str
    data_uri: str


class DataVersionBody(Resource):
    properties: DataVersionProperties

    @classmethod
    def of(cls, found: DataVersion) -> "DataVersionBody":
        return cls(
            **version_resource(found.head),
            properties=DataVersionProperties(
                **version_properties(found.head), data_type=found.content.data_type, data_uri=found.content.uri
            ),
        )
