"""Containers as JSON, and the shared fields of versions."""

from typing import Any

from control_plane.resources.arm_body import ArmBody, Texts
from control_plane.resources.assets.asset import Container, Description, VersionHead
from control_plane.resources.resource import Resource, SystemData
from modelyard.core.domain.resource_ids import PROVIDER


class AssetProperties(ArmBody):
    """None: the request leaves the field as it is."""

    description: str | None = None
    tags: Texts | None = None
    properties: Texts | None = None
    is_archived: bool | None = None

    def to_description(self) -> Description:
        sent = self.model_fields_set
        return Description(
            description=self.description,
            tags=self.tags if "tags" in sent else None,
            properties=self.properties if "properties" in sent else None,
            is_archived=self.is_archived,
        )


class ContainerRequest(ArmBody):
    properties: AssetProperties = AssetProperties()


class ContainerProperties(ArmBody):
    description: str | None = None
    tags: Texts
    properties: Texts
    is_archived: bool
    latest_version: str | None = None
    next_version: str
    provisioning_state: str = "Succeeded"


class ContainerBody(Resource):
    properties: ContainerProperties

    @classmethod
    def of(cls, container: Container) -> "ContainerBody":
        return cls(
            id=container.arm_id,
            name=container.name,
            type=f"{PROVIDER}/workspaces/{container.collection}",
            system_data=SystemData.of(container.authorship),
            properties=ContainerProperties(
                description=container.description,
                tags=dict(container.tags),
                properties=dict(container.properties),
                is_archived=container.is_archived,
                latest_version=container.latest_version,
                next_version=container.next_version,
            ),
        )


class VersionRequestProperties(AssetProperties):
    is_anonymous: bool | None = None


class VersionProperties(ArmBody):
    description: str | None = None
    tags: Texts
    properties: Texts
    is_archived: bool
    is_anonymous: bool
    provisioning_state: str = "Succeeded"


def version_properties(head: VersionHead) -> dict[str, Any]:
    """The fields of VersionProperties."""
    return {
        "description": head.description,
        "tags": dict(head.tags),
        "properties": dict(head.properties),
        "is_archived": head.is_archived,
        "is_anonymous": head.is_anonymous,
    }


def version_resource(head: VersionHead) -> dict[str, Any]:
    """The fields of Resource for a version."""
    return {
        "id": head.arm_id,
        "name": head.version,
        "type": f"{PROVIDER}/workspaces/{head.collection}/versions",
        "system_data": SystemData.of(head.authorship),
    }
