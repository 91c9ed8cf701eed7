"""An online endpoint: the scoring URL, who may call it, and how its requests are divided."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control_plane.features.operations.operation import Operation
from control_plane.features.workspaces.workspace import Workspace
from control_plane.web.arm_body import ArmEnum
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.traffic import TrafficSplit
from modelyard.core.errors import InvalidRequest

_SHORTEST_KEY = 16
_LONGEST_KEY = 512
_KEY_BYTES = 32


class AuthMode(ArmEnum):
    KEY = "Key"
    AML_TOKEN = "AMLToken"
    AAD_TOKEN = "AADToken"


class KeyType(ArmEnum):
    PRIMARY = "Primary"
    SECONDARY = "Secondary"


class NetworkAccess(ArmEnum):
    ENABLED = "Enabled"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class EndpointKeys:
    primary: str
    secondary: str

    def __post_init__(self) -> None:
        for key in (self.primary, self.secondary):
            check_key(key)

    @classmethod
    def generate(cls, primary: str | None = None, secondary: str | None = None) -> "EndpointKeys":
        return cls(primary or new_key(), secondary or new_key())

    def of(self, kind: KeyType) -> str:
        return self.primary if kind == KeyType.PRIMARY else self.secondary


def new_key() -> str:
    return secrets.token_urlsafe(_KEY_BYTES)


def check_key(key: str) -> str:
    """A key travels in a header. The refusal does not repeat it."""
    is_visible = all("!" <= char <= "~" for char in key)
    if not _SHORTEST_KEY <= len(key) <= _LONGEST_KEY or not is_visible:
        raise InvalidRequest(
            f"a key must be {_SHORTEST_KEY} to {_LONGEST_KEY} visible ASCII characters; "
            "leave it out to get a random one",
            target="keyValue",
        )
    return key


@dataclass(frozen=True, slots=True)
class EndpointWish:
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
