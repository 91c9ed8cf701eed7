"""Workspaces as JSON."""

from typing import Annotated

from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.resource import Resource, SystemData
from control_plane.resources.urls import ResourceUrls
from control_plane.resources.without_effect import WithoutEffect
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.resource_ids import PROVIDER

_NAME_AND_LOCATION = WithoutEffect("a workspace has a name and a location alone")


class WorkspaceRequest(ArmBody):
    location: str | None = None
    tags: Annotated[Document | None, _NAME_AND_LOCATION] = None
    properties: Annotated[Document | None, _NAME_AND_LOCATION] = None


class WorkspaceProperties(ArmBody):
    friendly_name: str
    workspace_id: str
    provisioning_state: str = "Succeeded"
    discovery_url: str
    """Where Azure's SDK asks for the service of the run history. Needs no credential."""
    ml_flow_tracking_uri: str
    """In Azure's form. The platform serves no MLflow tracking."""


class WorkspaceBody(Resource):
    location: str
    tags: Texts
    properties: WorkspaceProperties

    @classmethod
    def of(cls, workspace: Workspace, urls: ResourceUrls) -> "WorkspaceBody":
        return cls(
            id=workspace.arm_id,
            name=workspace.path.name,
            type=f"{PROVIDER}/workspaces",
            system_data=SystemData.of(workspace.authorship),
            location=workspace.location,
            tags={},
            properties=WorkspaceProperties(
                friendly_name=workspace.path.name,
                workspace_id=str(workspace.key),
                discovery_url=urls.discovery,
                ml_flow_tracking_uri=urls.mlflow_tracking(workspace.arm_id),
            ),
        )


class WorkspaceKeysBody(ArmBody):
    """Null in every field: the services beside a workspace of Azure do not exist here.

    The fields are sent, because Azure's SDK takes an object without fields for no answer.
    """

    user_storage_key: None = None
    user_storage_resource_id: None = None
    app_insights_instrumentation_key: None = None
    container_registry_credentials: None = None
    notebook_access_keys: None = None
