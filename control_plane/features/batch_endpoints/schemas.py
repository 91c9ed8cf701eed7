"""Batch endpoints as JSON."""

from control_plane.features.batch_endpoints.endpoint import BatchEndpoint, BatchEndpointPatch, BatchEndpointSpec
from control_plane.resources.arm_body import ArmBody, Texts
from control_plane.resources.endpoints.credentials import AuthMode
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
from control_plane.resources.without_effect import property_of_notes


class Defaults(ArmBody):
    deployment_name: str | None = None
    """The default deployment of jobs."""


class BatchEndpointRequestProperties(CommonEndpointRequestProperties):
    auth_mode: AuthMode = AuthMode.AAD_TOKEN
    defaults: Defaults | None = None


class BatchEndpointRequest(EndpointRequestFields):
    properties: BatchEndpointRequestProperties = BatchEndpointRequestProperties()

    def to_spec(self) -> BatchEndpointSpec:
        requested = self.properties
        return BatchEndpointSpec(
            **spec_fields(self, requested),
            auth_mode=requested.auth_mode,
            default_deployment=(requested.defaults or Defaults()).deployment_name,
        )


class BatchEndpointPatchProperties(ArmBody):
    description: str | None = None
    defaults: Defaults | None = None


class BatchEndpointPatchRequest(EndpointPatchFields):
    properties: BatchEndpointPatchProperties = BatchEndpointPatchProperties()

    def to_patch(self) -> BatchEndpointPatch:
        requested = self.properties
        return BatchEndpointPatch(
            tags=self.changed_tags(),
            identity=self.identity,
            description=requested.description,
            default_deployment=(requested.defaults or Defaults()).deployment_name,
        )


class BatchEndpointProperties(ArmBody):
    auth_mode: AuthMode
    description: str | None = None
    properties: Texts
    """The user's properties, and AzureAsyncOperationUri, the URL of the last operation."""
    scoring_uri: str
    defaults: Defaults
    provisioning_state: str


class BatchEndpointBody(EndpointResource):
    properties: BatchEndpointProperties

    @classmethod
    def of(cls, endpoint: BatchEndpoint, urls: ResourceUrls) -> "BatchEndpointBody":
        body = cls(
            **endpoint_resource(endpoint),
            properties=BatchEndpointProperties(
                **endpoint_properties(endpoint, urls),
                scoring_uri=urls.batch_scoring_uri(endpoint.name),
                defaults=Defaults(deployment_name=endpoint.default_deployment),
            ),
        )
        body.properties.properties.update(property_of_notes(body, BatchEndpointRequest))
        return body
