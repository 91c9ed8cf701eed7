"""Environments as JSON."""

from control_plane.features.environments.environment_version import (
    BuiltEnvironment,
    EnvironmentVersion,
    EnvironmentVersionSpec,
)
from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.assets.schemas import AssetProperties, version_id, version_type
from control_plane.resources.resource import Resource, SystemData
from modelyard.core.errors import InvalidEnvironment

KIND = "environments"


class EnvironmentVersionRequestProperties(AssetProperties):
    conda_file: str | None = None
    image: str | None = None
    build: Document | None = None
    is_anonymous: bool | None = None


class EnvironmentVersionRequest(ArmBody):
    properties: EnvironmentVersionRequestProperties

    def to_spec(self) -> EnvironmentVersionSpec:
        asked = self.properties
        if asked.build is not None:
            raise InvalidEnvironment(
                "build contexts cannot be used: nothing here builds images. Put the packages into condaFile",
                target="properties.build",
            )
        return EnvironmentVersionSpec(asked.conda_file, asked.image, bool(asked.is_anonymous), asked.described())


class EnvironmentVersionProperties(ArmBody):
    description: str | None = None
    tags: Texts
    properties: Texts
    conda_file: str
    image: str | None = None
    environment_type: str = "UserCreated"
    os_type: str = "Linux"
    is_archived: bool
    is_anonymous: bool
    provisioning_state: str = "Succeeded"


class EnvironmentVersionBody(Resource):
    properties: EnvironmentVersionProperties

    @classmethod
    def of(cls, found: EnvironmentVersion) -> "EnvironmentVersionBody":
        head = found.head
        return cls(
            id=version_id(head, KIND),
            name=head.version,
            type=version_type(KIND),
            system_data=SystemData.of(head.created_at, head.modified_at),
            properties=EnvironmentVersionProperties(
                description=head.description,
                tags=dict(head.tags),
                properties=dict(head.properties),
                conda_file=found.conda_file,
                image=found.image,
                is_archived=head.is_archived,
                is_anonymous=head.is_anonymous,
            ),
        )


class UsingDeployment(ArmBody):
    endpoint: str
    deployment: str


class BuiltEnvironmentBody(ArmBody):
    lock_hash: str
    folder: str
    """Below the data dir's environments/."""
    python_version: str
    size_bytes: int
    used_by: list[UsingDeployment]

    @classmethod
    def of(cls, built: BuiltEnvironment) -> "BuiltEnvironmentBody":
        return cls(
            lock_hash=built.lock_hash,
            folder=built.folder,
            python_version=built.python_version,
            size_bytes=built.size_bytes,
            used_by=[UsingDeployment(endpoint=endpoint, deployment=name) for endpoint, name in built.used_by],
        )
