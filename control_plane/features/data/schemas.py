"""Data assets as JSON."""

from control_plane.features.data.data_version import DataType, DataVersion, DataVersionSpec
from control_plane.resources.arm_body import ArmBody, Texts
from control_plane.resources.assets.schemas import AssetProperties, version_id, version_type
from control_plane.resources.resource import Resource, SystemData
from modelyard.core.errors import InvalidRequest

KIND = "data"


class DataVersionRequestProperties(AssetProperties):
    data_type: str | None = None
    """uri_file or uri_folder."""
    data_uri: str | None = None
    is_anonymous: bool | None = None


class DataVersionRequest(ArmBody):
    properties: DataVersionRequestProperties

    def to_spec(self) -> DataVersionSpec:
        asked = self.properties
        data_type = None if asked.data_type is None else _data_type(asked.data_type)
        return DataVersionSpec(data_type, asked.data_uri, bool(asked.is_anonymous), asked.described())


def _data_type(text: str) -> DataType:
    spelled = text.replace("_", "").lower()
    for known in DataType:
        if known.replace("_", "") == spelled:
            return known
    raise InvalidRequest(
        f"dataType is {DataType.URI_FILE} or {DataType.URI_FOLDER}, not {text!r}: register the files themselves",
        target="properties.dataType",
    )


class DataVersionProperties(ArmBody):
    description: str | None = None
    tags: Texts
    properties: Texts
    data_type: str
    data_uri: str
    is_archived: bool
    is_anonymous: bool
    provisioning_state: str = "Succeeded"


class DataVersionBody(Resource):
    properties: DataVersionProperties

    @classmethod
    def of(cls, found: DataVersion) -> "DataVersionBody":
        head = found.head
        return cls(
            id=version_id(head, KIND),
            name=head.version,
            type=version_type(KIND),
            system_data=SystemData.of(head.created_at, head.modified_at),
            properties=DataVersionProperties(
                description=head.description,
                tags=dict(head.tags),
                properties=dict(head.properties),
                data_type=found.content.data_type,
                data_uri=found.content.uri,
                is_archived=head.is_archived,
                is_anonymous=head.is_anonymous,
            ),
        )
