"""Models as JSON."""

from control_plane.features.models.model_version import ModelType, ModelVersion, ModelVersionSpec
from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.assets.schemas import AssetProperties, version_id, version_type
from control_plane.resources.resource import Resource, SystemData
from modelyard.core.domain.model_manifest import ModelFile

KIND = "models"


class ModelVersionRequestProperties(AssetProperties):
    model_type: ModelType | None = None
    model_uri: str | None = None
    is_anonymous: bool | None = None


class ModelVersionRequest(ArmBody):
    properties: ModelVersionRequestProperties

    def to_spec(self) -> ModelVersionSpec:
        asked = self.properties
        return ModelVersionSpec(asked.model_type, asked.model_uri, bool(asked.is_anonymous), asked.described())


class Flavor(ArmBody):
    data: Document


class ModelVersionProperties(ArmBody):
    description: str | None = None
    tags: Texts
    properties: Texts
    model_type: str
    model_uri: str
    flavors: dict[str, Flavor]
    is_archived: bool
    is_anonymous: bool
    provisioning_state: str = "Succeeded"


class ModelVersionBody(Resource):
    properties: ModelVersionProperties

    @classmethod
    def of(cls, found: ModelVersion) -> "ModelVersionBody":
        head = found.head
        return cls(
            id=version_id(head, KIND),
            name=head.version,
            type=version_type(KIND),
            system_data=SystemData.of(head.created_at, head.modified_at),
            properties=ModelVersionProperties(
                description=head.description,
                tags=dict(head.tags),
                properties=dict(head.properties),
                model_type=found.model_type,
                model_uri=found.model_uri,
                flavors={name: Flavor(data=dict(data)) for name, data in found.flavors.items()},
                is_archived=head.is_archived,
                is_anonymous=head.is_anonymous,
            ),
        )


class ModelFileBody(ArmBody):
    path: str
    """With the registered folder's own name first."""
    sha256: str
    size: int
    url: str
    """Where its content can be fetched from for a while, without a token."""

    @classmethod
    def of(cls, file: ModelFile, url: str) -> "ModelFileBody":
        return cls(path=file.path, sha256=file.sha256, size=file.size, url=url)
