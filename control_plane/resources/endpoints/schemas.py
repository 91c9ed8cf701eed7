"""What endpoints and deployments, online or batch, have in common as JSON."""

from control_plane.resources.arm_body import ArmBody
from control_plane.resources.endpoints.credentials import EndpointKeys
from control_plane.resources.operations.operation import Operation
from control_plane.resources.urls import ResourceUrls

_OPERATION_URI = "AzureAsyncOperationUri"
# A resource as it was read comes back in a PUT, with what reading had added.
_ADDED_ON_READING = frozenset({"createdby", "createdat", "lastmodifiedat", "azureasyncoperationuri"})


def users_own(properties: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in properties.items() if name.lower() not in _ADDED_ON_READING}


def operation_uri(operation: Operation | None, urls: ResourceUrls) -> dict[str, str]:
    """Where to ask after the last operation, as one of the resource's properties."""
    if operation is None:
        return {}
    return {_OPERATION_URI: urls.operation(operation.subscription, operation.location, operation.id)}


class EndpointKeysBody(ArmBody):
    primary_key: str
    secondary_key: str

    @classmethod
    def of(cls, keys: EndpointKeys) -> "EndpointKeysBody":
        return cls(primary_key=keys.primary, secondary_key=keys.secondary)


class PresetKeys(ArmBody):
    primary_key: str | None = None
    secondary_key: str | None = None
