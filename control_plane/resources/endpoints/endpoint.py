"""The shared part of online and batch endpoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.resources.authorship import Authorship
from control_plane.resources.endpoints.credentials import AuthMode
from control_plane.resources.operations.operation import Operation
from control_plane.resources.workspaces.workspace import Workspace
from modelyard.core.domain.lifecycle import ProvisioningState


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """An endpoint as a PUT asks for it. A missing field goes back to the default."""

    location: str | None
    kind: str | None
    identity: Mapping[str, Any] | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    description: str | None
    auth_mode: AuthMode
    primary_key: str | None = None
    secondary_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPatch:
    """None: unchanged."""

    tags: Mapping[str, str] | None = None
    identity: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    workspace: Workspace
    key: int
    collection: str
    """Path segment: "onlineEndpoints" or "batchEndpoints"."""
    name: str
    location: str
    kind: str | None
    identity: Mapping[str, Any] | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    description: str | None
    auth_mode: AuthMode
    state: ProvisioningState
    operation: Operation | None
    """The operation under way, else the last one until it expires."""
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return f"{self.workspace.arm_id}/{self.collection}/{self.name}"
