"""An online endpoint: a scoring URL, the callers that may use the URL, and the split of requests over deployments."""

from collections.abc import Mapping
from dataclasses import dataclass

from control_plane.resources.arm_body import ArmEnum
from control_plane.resources.endpoints.endpoint import Endpoint, EndpointSpec
from modelyard.core.domain.rate_limit import RateLimit
from modelyard.core.domain.traffic import TrafficSplit


class NetworkAccess(ArmEnum):
    ENABLED = "Enabled"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineEndpointSpec(EndpointSpec):
    public_network_access: NetworkAccess
    split: TrafficSplit
    rate_limit: RateLimit | None
    """None: the limit stays as it is, so that a client that does not know the field does not remove a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineEndpoint(Endpoint):
    public_network_access: str
    traffic: Mapping[str, int]
    mirror_traffic: Mapping[str, int]
    rate_limit: RateLimit


@dataclass(frozen=True, slots=True)
class AccessToken:
    token: str
    expires_at: int
    """Unix seconds."""
    refresh_after: int
    """Unix seconds."""
