"""Containers as JSON, and what the bodies of versions share."""

from control_plane.resources.arm_body import ArmBody, Texts
from control_plane.resources.assets.asset import Container, Description, VersionHead
from control_plane.resources.resource import TYPE_PREFIX, Resource, SystemData


class AssetProperties(ArmBody):
    """None: not said."""

    description: str | None = None
    tags: Texts | None = None
    properties: Texts | None = None
    is_archived: bool | None = None

    def described(self) -> Description:
        said = self.model_fields_set
        return Description(
            description=self.description,
            tags=self.tags if "tags" in said else None,
            properties=self.properties if "properties" in said else None,
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
    def of(cls, container: Container, kind: str) -> "ContainerBody":
        """`kind` as in the path: "models"."""
        return cls(
            id=f"{container.workspace.arm_id}/{kind}/{container.name}",
            name=container.name,
            type=f"{TYPE_PREFIX}/workspaces/{kind}",
            system_data=SystemData.of(container.created_at, container.modified_at),
            properties=ContainerProperties(
                description=container.description,
                tags=dict(container.tags),
                properties=dict(container.properties),
                is_archived=container.is_archived,
                latest_version=container.latest_version,
                next_version=container.next_version,
            ),
        )


def version_id(head: VersionHead, kind: str) -> str:
    return f"{head.workspace.arm_id}/{kind}/{head.name}/versions/{head.version}"


def version_type(kind: str) -> str:
    return f"{TYPE_PREFIX}/workspaces/{kind}/versions"
