"""Online endpoints as JSON."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from control_plane.features.online_endpoints.endpoint import (
    AccessToken,
    Endpoint,
    EndpointPatch,
    EndpointSpec,
    NetworkAccess,
)
from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.endpoints.credentials import AuthMode, KeyType
from control_plane.resources.endpoints.schemas import PresetKeys, operation_uri, users_own
from control_plane.resources.resource import TYPE_PREFIX, Resource, SystemData
from control_plane.resources.urls import ResourceUrls
from modelyard.core.domain.traffic import TrafficSplit

Percents = Annotated[dict[str, int], BeforeValidator(lambda value: {} if value is None else value)]


def _named_in_lower_case(percents: dict[str, int]) -> dict[str, int]:
    """Zero shares say nothing, not even that the deployment is there."""
    return {name.lower(): percent for name, percent in percents.items() if percent}


class EndpointRequestProperties(ArmBody):
    auth_mode: AuthMode
    description: str | None = None
    properties: Texts = Field(default_factory=dict)
    traffic: Percents = Field(default_factory=dict)
    mirror_traffic: Percents = Field(default_factory=dict)
    public_network_access: NetworkAccess | None = None
    keys: PresetKeys | None = None
    """Only read when the endpoint is created, and never given back."""


class EndpointRequest(ArmBody):
    location: str | None = None
    kind: str | None = None
    identity: Document | None = None
    tags: Texts = Field(default_factory=dict)
    properties: EndpointRequestProperties

    def to_spec(self) -> EndpointSpec:
        asked = self.properties
        keys = asked.keys or PresetKeys()
        return EndpointSpec(
            location=self.location,
            kind=self.kind,
            identity=self.identity,
            tags=self.tags,
            properties=users_own(asked.properties),
            description=asked.description,
            auth_mode=asked.auth_mode,
            public_network_access=asked.public_network_access or NetworkAccess.ENABLED,
            split=TrafficSplit(_named_in_lower_case(asked.traffic), _named_in_lower_case(asked.mirror_traffic)),
            primary_key=keys.primary_key,
            secondary_key=keys.secondary_key,
        )


class EndpointPatchRequest(ArmBody):
    tags: Texts | None = None
    identity: Document | None = None

    def patch(self) -> EndpointPatch:
        return EndpointPatch(self.tags if "tags" in self.model_fields_set else None, self.identity)


class EndpointProperties(ArmBody):
    auth_mode: AuthMode
    description: str | None = None
    properties: Texts
    """The user's own, and AzureAsyncOperationUri: where to ask after the last operation."""
    scoring_uri: str
    swagger_uri: str
    traffic: dict[str, int]
    mirror_traffic: dict[str, int]
    public_network_access: str
    provisioning_state: str


class EndpointBody(Resource):
    location: str
    kind: str | None = None
    identity: Document | None = None
    tags: Texts
    properties: EndpointProperties

    @classmethod
    def of(cls, endpoint: Endpoint, urls: ResourceUrls) -> "EndpointBody":
        return cls(
            id=endpoint.arm_id,
            name=endpoint.name,
            type=f"{TYPE_PREFIX}/workspaces/onlineEndpoints",
            system_data=SystemData.of(endpoint.created_at, endpoint.modified_at),
            location=endpoint.location,
            kind=endpoint.kind,
            identity=None if endpoint.identity is None else dict(endpoint.identity),
            tags=dict(endpoint.tags),
            properties=EndpointProperties(
                auth_mode=endpoint.auth_mode,
                description=endpoint.description,
                properties={**endpoint.properties, **operation_uri(endpoint.operation, urls)},
                scoring_uri=urls.scoring_uri(endpoint.name),
                swagger_uri=urls.swagger_uri(endpoint.name),
                traffic=dict(endpoint.traffic),
                mirror_traffic=dict(endpoint.mirror_traffic),
                public_network_access=endpoint.public_network_access,
                provisioning_state=endpoint.state,
            ),
        )


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
