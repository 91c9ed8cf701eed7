"""Batch endpoints as JSON."""

from pydantic import Field

from control_plane.features.batch_endpoints.endpoint import Endpoint, EndpointPatch, EndpointSpec
from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.endpoints.credentials import AuthMode
from control_plane.resources.endpoints.schemas import PresetKeys, operation_uri, users_own
from control_plane.resources.resource import TYPE_PREFIX, Resource, SystemData
from control_plane.resources.urls import ResourceUrls


class Defaults(ArmBody):
    deployment_name: str | None = None
    """Scores what names no deployment."""


class BatchEndpointRequestProperties(ArmBody):
    auth_mode: AuthMode = AuthMode.AAD_TOKEN
    description: str | None = None
    properties: Texts = Field(default_factory=dict)
    defaults: Defaults | None = None
    keys: PresetKeys | None = None
    """Only read when the endpoint is created, and never given back."""


class BatchEndpointRequest(ArmBody):
    location: str | None = None
    kind: str | None = None
    identity: Document | None = None
    tags: Texts = Field(default_factory=dict)
    properties: BatchEndpointRequestProperties = BatchEndpointRequestProperties()

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
            default_deployment=(asked.defaults or Defaults()).deployment_name,
            primary_key=keys.primary_key,
            secondary_key=keys.secondary_key,
        )


class BatchEndpointPatchProperties(ArmBody):
    description: str | None = None
    defaults: Defaults | None = None


class BatchEndpointPatchRequest(ArmBody):
    tags: Texts | None = None
    identity: Document | None = None
    properties: BatchEndpointPatchProperties = BatchEndpointPatchProperties()

    def patch(self) -> EndpointPatch:
        asked = self.properties
        return EndpointPatch(
            tags=self.tags if "tags" in self.model_fields_set else None,
            identity=self.identity,
            description=asked.description,
            default_deployment=(asked.defaults or Defaults()).deployment_name,
        )


class BatchEndpointProperties(ArmBody):
    auth_mode: AuthMode
    description: str | None = None
    properties: Texts
    """The user's own, and AzureAsyncOperationUri: where to ask after the last operation."""
    scoring_uri: str
    defaults: Defaults
    provisioning_state: str


class BatchEndpointBody(Resource):
    location: str
    kind: str | None = None
    identity: Document | None = None
    tags: Texts
    properties: BatchEndpointProperties

    @classmethod
    def of(cls, endpoint: Endpoint, urls: ResourceUrls) -> "BatchEndpointBody":
        return cls(
            id=endpoint.arm_id,
            name=endpoint.name,
            type=f"{TYPE_PREFIX}/workspaces/batchEndpoints",
            system_data=SystemData.of(endpoint.created_at, endpoint.modified_at),
            location=endpoint.location,
            kind=endpoint.kind,
            identity=None if endpoint.identity is None else dict(endpoint.identity),
            tags=dict(endpoint.tags),
            properties=BatchEndpointProperties(
                auth_mode=endpoint.auth_mode,
                description=endpoint.description,
                properties={**endpoint.properties, **operation_uri(endpoint.operation, urls)},
                scoring_uri=urls.batch_scoring_uri(endpoint.name),
                defaults=Defaults(deployment_name=endpoint.default_deployment),
                provisioning_state=endpoint.state,
            ),
        )
