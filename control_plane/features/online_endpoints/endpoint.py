"""An online endpoint: the scoring URL, who may call it, and how its requests are divided."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control_plane.resources.arm_body import ArmEnum
from control_plane.resources.endpoints.credentials import AuthMode
from control_plane.resources.operations.operation import Operation
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.traffic import TrafficSplit


class NetworkAccess(ArmEnum):
    ENABLED = "Enabled"
    DISABLED = "Disabled"


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
    public_network_access: NetworkAccess
    split: TrafficSplit
    primary_key: str | None = None
    secondary_key: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointPatch:
    """None: leave it as it is."""

    tags: Mapping[str, str] | None
    identity: Mapping[str, Any] | None


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
    public_network_access: str
    traffic: Mapping[str, int]
    mirror_traffic: Mapping[str, int]
    state: ProvisioningState
    operation: Operation | None
    """The one under way, or the last one while it is kept."""
    created_at: datetime
    modified_at: datetime

    @property
    def arm_id(self) -> str:
        return endpoint_id(self.workspace, self.name)


@dataclass(frozen=True, slots=True)
class AccessToken:
    token: str
    expires_at: int
    refresh_after: int
    """Unix seconds, both."""


def endpoint_id(workspace: Workspace, name: str) -> str:
    return f"{workspace.arm_id}/onlineEndpoints/{name}"
