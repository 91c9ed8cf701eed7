"""Online endpoints as JSON."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from control_plane.features.online_endpoints.endpoint import (
    AccessToken,
    NetworkAccess,
    OnlineEndpoint,
    OnlineEndpointSpec,
)
from control_plane.resources.arm_body import ArmBody, Texts
from control_plane.resources.endpoints.credentials import AuthMode, KeyType
from control_plane.resources.endpoints.endpoint import EndpointPatch
from control_plane.resources.endpoints.schemas import (
    CommonEndpointRequestProperties,
    EndpointPatchFields,
    EndpointRequestFields,
    EndpointResource,
    endpoint_properties,
    endpoint_resource,
    spec_fields,
)
from control_plane.resources.urls import ResourceUrls
from control_plane.resources.without_effect import WithoutEffect, property_of_notes
from modelyard.core.domain.rate_limit import RateLimit
from modelyard.core.domain.traffic import TrafficSplit
from modelyard.core.errors import InvalidRequest

_KUBERNETES = frozenset({"kubernetes", "k8s", "aks", "arc"})
Percents = Annotated[dict[str, int], BeforeValidator(lambda value: {} if value is None else value)]


def _lower_case_names(percents: dict[str, int]) -> dict[str, int]:
    """A share of zero is left out: the deployment need not exist."""
    return {name.lower(): percent for name, percent in percents.items() if percent}


class RateLimitBody(ArmBody):
    """Limits of the scoring requests of each key. An extension of Modelyard."""

    requests_per_second: int | None = None
    requests_per_day: int | None = None


class EndpointRequestProperties(CommonEndpointRequestProperties):
    auth_mode: AuthMode
    traffic: Percents = Field(default_factory=dict)
    mirror_traffic: Percents = Field(default_factory=dict)
    public_network_access: Annotated[
        NetworkAccess | None,
        WithoutEffect(
            "the scoring URL is reachable wherever the gateway's port is, so close the port in the network",
            harmless=("enabled",),
        ),
    ] = None
    compute: str | None = None
    """Azure's Kubernetes cluster of an endpoint; refused."""
    rate_limit: RateLimitBody | None = None
    """Missing: the limit stays. `null` or an empty object: no limit."""

    def wanted_rate_limit(self) -> RateLimit | None:
        if "rate_limit" not in self.model_fields_set:
            return None
        return RateLimit() if self.rate_limit is None else RateLimit(**self.rate_limit.model_dump())


class EndpointRequest(EndpointRequestFields):
    properties: EndpointRequestProperties

    def to_spec(self) -> OnlineEndpointSpec:
        requested = self.properties
        _check_is_managed(self.kind, requested.compute)
        split = TrafficSplit(_lower_case_names(requested.traffic), _lower_case_names(requested.mirror_traffic))
        return OnlineEndpointSpec(
            **spec_fields(self, requested),
            auth_mode=requested.auth_mode,
            public_network_access=requested.public_network_access or NetworkAccess.ENABLED,
            split=split,
            rate_limit=requested.wanted_rate_limit(),
        )


def _check_is_managed(kind: str | None, compute: str | None) -> None:
    if compute:
        raise InvalidRequest(
            f"properties.compute is {compute[:80]!r}, a Kubernetes cluster: this platform runs managed online "
            "endpoints alone, so leave compute out",
            target="properties.compute",
        )
    if (kind or "").lower() in _KUBERNETES:
        raise InvalidRequest(
            f"kind is {kind!r}: this platform runs managed online endpoints alone, so leave kind out",
            target="kind",
        )


class EndpointPatchRequest(EndpointPatchFields):
    def to_patch(self) -> EndpointPatch:
        return EndpointPatch(tags=self.changed_tags(), identity=self.identity)


class EndpointProperties(ArmBody):
    auth_mode: AuthMode
    description: str | None = None
    properties: Texts
    """The user's properties, and AzureAsyncOperationUri, the URL of the last operation."""
    scoring_uri: str
    swagger_uri: str
    traffic: dict[str, int]
    mirror_traffic: dict[str, int]
    public_network_access: str
    rate_limit: RateLimitBody | None = None
    provisioning_state: str


class EndpointBody(EndpointResource):
    properties: EndpointProperties

    @classmethod
    def of(cls, endpoint: OnlineEndpoint, urls: ResourceUrls) -> "EndpointBody":
        body = cls(
            **endpoint_resource(endpoint),
            properties=EndpointProperties(
                **endpoint_properties(endpoint, urls),
                scoring_uri=urls.scoring_uri(endpoint.name),
                swagger_uri=urls.swagger_uri(endpoint.name),
                traffic=dict(endpoint.traffic),
                mirror_traffic=dict(endpoint.mirror_traffic),
                public_network_access=endpoint.public_network_access,
                rate_limit=RateLimitBody(**limit) if (limit := endpoint.rate_limit.to_dict()) else None,
            ),
        )
        body.properties.properties.update(property_of_notes(body, EndpointRequest))
        return body


class RegenerateKeysRequest(ArmBody):
    key_type: KeyType
    key_value: str | None = None


class TokenBody(ArmBody):
    access_token: str
    token_type: str = "Bearer"
    expiry_time_utc: int
    refresh_after_time_utc: int

    @classmethod
    def of(cls, token: AccessToken) -> "TokenBody":
        return cls(
            access_token=token.token, expiry_time_utc=token.expires_at, refresh_after_time_utc=token.refresh_after
        )
