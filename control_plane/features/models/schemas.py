"""Models as JSON."""

from typing import Annotated

from control_plane.features.models.model_version import ModelVersion, ModelVersionSpec
from control_plane.resources.arm_body import ArmBody, Document
from control_plane.resources.assets.model_type import ModelType
from control_plane.resources.assets.schemas import (
    VersionProperties,
    VersionRequestProperties,
    version_properties,
    version_resource,
)
from control_plane.resources.resource import Resource
from control_plane.resources.without_effect import WithoutEffect
from modelyard.core.domain.model_manifest import ModelFile


class ModelVersionRequestProperties(VersionRequestProperties):
    model_type: ModelType | None = None
    model_uri: str | None = None
    flavors: Annotated[Document | None, WithoutEffect("the MLmodel file names the flavors")] = None


class ModelVersionRequest(ArmBody):
    properties: ModelVersionRequestProperties

    def to_spec(self) -> ModelVersionSpec:
        requested = self.properties
        return ModelVersionSpec(
            is_anonymous=bool(requested.is_anonymous),
            description=requested.to_description(),
            model_type=requested.model_type,
            model_uri=requested.model_uri,
        )


class Flavor(ArmBody):
    data: Document


class ModelVersionProperties(VersionProperties):
    model_type: str
    model_uri: str
    flavors: dict[str, Flavor]


class ModelVersionBody(Resource):
    properties: ModelVersionProperties

    @classmethod
    def of(cls, found: ModelVersion) -> "ModelVersionBody":
        return cls(
            **version_resource(found.head),
            properties=ModelVersionProperties(
                **version_properties(found.head),
                model_type=found.model_type,
                model_uri=found.model_uri,
                flavors={name: Flavor(data=dict(data)) for name, data in found.flavors.items()},
            ),
        )


class ModelFileBody(ArmBody):
    path: str
    """Begins with the name of the registered folder."""
    sha256: str
    size: int
    url: str
    """Download URL, valid for an hour and without a token."""

    @classmethod
    def of(cls, file: ModelFile, url: str) -> "ModelFileBody":
        return cls(path=file.path, sha256=file.sha256, size=file.size, url=url)
