"""Environments as JSON."""

from typing import Annotated

from control_plane.features.environments.environment_version import (
    BuiltEnvironment,
    EnvironmentVersion,
    EnvironmentVersionSpec,
)
from control_plane.resources.arm_body import ArmBody, Document
from control_plane.resources.assets.schemas import (
    VersionProperties,
    VersionRequestProperties,
    version_properties,
    version_resource,
)
from control_plane.resources.resource import Resource
from control_plane.resources.without_effect import WithoutEffect
from modelyard.core.errors import InvalidEnvironment

_LINUX = "Linux"


class EnvironmentVersionRequestProperties(VersionRequestProperties):
    conda_file: str | None = None
    image: Annotated[str | None, WithoutEffect("packages come from condaFile alone")] = None
    inference_config: Annotated[
        Document | None, WithoutEffect("deployments have the scoring routes of this platform")
    ] = None
    build: Document | None = None
    os_type: str | None = None


class EnvironmentVersionRequest(ArmBody):
    properties: EnvironmentVersionRequestProperties

    def to_spec(self) -> EnvironmentVersionSpec:
        requested = self.properties
        if requested.build is not None:
            raise InvalidEnvironment(
                "build contexts are not supported, because this platform builds no images: list the packages in "
                "condaFile",
                target="properties.build",
            )
        if (requested.os_type or _LINUX).lower() != _LINUX.lower():
            raise InvalidEnvironment(
                f"osType is {requested.os_type!r}, but models run on {_LINUX}: leave osType out",
                target="properties.osType",
            )
        return EnvironmentVersionSpec(
            is_anonymous=bool(requested.is_anonymous),
            description=requested.to_description(),
            conda_file=requested.conda_file,
            image=requested.image,
        )


class EnvironmentVersionProperties(VersionProperties):
    conda_file: str | None = None
    image: str | None = None
    environment_type: str = "UserCreated"
    os_type: str = _LINUX


class EnvironmentVersionBody(Resource):
    properties: EnvironmentVersionProperties

    @classmethod
    def of(cls, found: EnvironmentVersion) -> "EnvironmentVersionBody":
        return cls(
            **version_resource(found.head),
            properties=EnvironmentVersionProperties(
                **version_properties(found.head), conda_file=found.content.conda_file, image=found.content.image
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
