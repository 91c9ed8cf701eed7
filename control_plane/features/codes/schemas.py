"""Codes as JSON."""

from control_plane.features.codes.code_version import CodeVersion, CodeVersionSpec
from control_plane.resources.arm_body import ArmBody
from control_plane.resources.assets.schemas import (
    VersionProperties,
    VersionRequestProperties,
    version_properties,
    version_resource,
)
from control_plane.resources.resource import Resource


class CodeVersionRequestProperties(VersionRequestProperties):
    code_uri: str | None = None


class CodeVersionRequest(ArmBody):
    properties: CodeVersionRequestProperties

    def to_spec(self) -> CodeVersionSpec:
        requested = self.properties
        return CodeVersionSpec(
            is_anonymous=bool(requested.is_anonymous),
            description=requested.to_description(),
            code_uri=requested.code_uri,
        )


class CodeVersionProperties(VersionProperties):
    code_uri: str


class CodeVersionBody(Resource):
    properties: CodeVersionProperties

    @classmethod
    def of(cls, found: CodeVersion) -> "CodeVersionBody":
        return cls(
            **version_resource(found.head),
            properties=CodeVersionProperties(**version_properties(found.head), code_uri=found.code_uri),
        )
