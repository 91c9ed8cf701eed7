"""A batch endpoint: the URL that files are sent to, and the deployment that scores them unless another is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control_plane.resources.endpoints.credentials import AuthMode
from control_plane.resources.operations.operation import Operation
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.lifecycle import ProvisioningState


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """What a PUT asks for: all of it, what is not said goes back to its default."""

    location: str | None
    kind: str | None
    identity: Mapping[str, Any] | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    description: str | None
    auth_mode: AuthMode
    default_deployment: str | None
    primary_key: str | None = None
    secondary_key: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointPatch:
    """None: leave it as it is."""

    tags: Mapping[str, str] | None = None
    identity: Mapping[str, Any] | None = None
    description: str | None = None
    default_deployment: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    workspace: Workspace
    key: int
    name: str
    location: str
    kind: str | None
    identity: Mapping[str, Any] | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    description: str | None
    auth_mode: AuthMode
    default_deployment: str | None
    state: ProvisioningState
    operation: Operation | None
    """The last one, while it is kept."""
    created_at: datetime
    modified_at: datetime

    @property
    def arm_id(self) -> str:
        return f"{self.workspace.arm_id}/batchEndpoints/{self.name}"
