"""The shared fields of endpoints and deployments as JSON."""

from typing import Annotated, Any

from pydantic import Field

from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.endpoints.credentials import EndpointKeys
from control_plane.resources.endpoints.endpoint import Endpoint
from control_plane.resources.operations.operation import Operation
from control_plane.resources.resource import Resource, SystemData
from control_plane.resources.urls import ResourceUrls
from control_plane.resources.without_effect import PROPERTY, WithoutEffect
from modelyard.core.domain.resource_ids import PROVIDER

_OPERATION_URI = "AzureAsyncOperationUri"
# Clients PUT a resource as read, together with the properties that reading had added.
_ADDED_ON_READING = frozenset({"createdby", "createdat", "lastmodifiedat", "azureasyncoperationuri", PROPERTY.lower()})


def user_properties(properties: dict[str, str]) -> dict[str, str]:
    """The properties set by the user."""
    return {name: value for name, value in properties.items() if name.lower() not in _ADDED_ON_READING}


def operation_uri(operation: Operation | None, urls: ResourceUrls) -> dict[str, str]:
    """URL of the last operation, as a property of the resource."""
    if operation is None:
        return {}
    return {_OPERATION_URI: urls.operation(operation.subscription, operation.location, operation.id)}


class EndpointKeysBody(ArmBody):
    primary_key: str
    secondary_key: str

    @classmethod
    def of(cls, keys: EndpointKeys) -> "EndpointKeysBody":
        return cls(primary_key=keys.primary, secondary_key=keys.secondary)


Identity = Annotated[
    Document | None, WithoutEffect("deployments have no identity in a cloud: pass credentials as environment variables")
]


class PresetKeys(ArmBody):
    primary_key: str | None = None
    secondary_key: str | None = None


class CommonEndpointRequestProperties(ArmBody):
    description: str | None = None
    properties: Texts = Field(default_factory=dict)
    keys: PresetKeys | None = None
    """Read only when the endpoint is created, and never returned."""


class EndpointRequestFields(ArmBody):
    """The fields beside `properties`."""

    location: str | None = None
    kind: str | None = None
    identity: Identity = None
    tags: Texts = Field(default_factory=dict)


def spec_fields(request: EndpointRequestFields, requested: CommonEndpointRequestProperties) -> dict[str, Any]:
    """The fields of EndpointSpec but for `auth_mode`."""
    keys = requested.keys or PresetKeys()
    return {
        "location": request.location,
        "kind": request.kind,
        "identity": request.identity,
        "tags": request.tags,
        "properties": user_properties(requested.properties),
        "description": requested.description,
        "primary_key": keys.primary_key,
        "secondary_key": keys.secondary_key,
    }


class EndpointPatchFields(ArmBody):
    """The fields beside `properties`."""

    tags: Texts | None = None
    identity: Identity = None

    def changed_tags(self) -> dict[str, str] | None:
        """`"tags": null` removes the tags; a PATCH without tags leaves them as they are."""
        return self.tags if "tags" in self.model_fields_set else None


class EndpointResource(Resource):
    location: str
    kind: str | None = None
    identity: Document | None = None
    tags: Texts


def endpoint_resource(endpoint: Endpoint) -> dict[str, Any]:
    """The fields of EndpointResource."""
    return {
        "id": endpoint.arm_id,
        "name": endpoint.name,
        "type": f"{PROVIDER}/workspaces/{endpoint.collection}",
        "system_data": SystemData.of(endpoint.authorship),
        "location": endpoint.location,
        "kind": endpoint.kind,
        "identity": None if endpoint.identity is None else dict(endpoint.identity),
        "tags": dict(endpoint.tags),
    }


def endpoint_properties(endpoint: Endpoint, urls: ResourceUrls) -> dict[str, Any]:
    """The shared fields of `properties`."""
    return {
        "auth_mode": endpoint.auth_mode,
        "description": endpoint.description,
        "properties": {**endpoint.properties, **operation_uri(endpoint.operation, urls)},
        "provisioning_state": endpoint.state,
    }
