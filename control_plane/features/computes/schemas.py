"""Computes as JSON."""

from typing import Annotated, Any

from pydantic import Field

from control_plane.features.computes.compute import Compute
from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.compute_name import WORKERS_OF_THE_PLATFORM
from control_plane.resources.resource import Resource, SystemData
from modelyard.core.domain.resource_ids import PROVIDER
from modelyard.core.errors import InvalidRequest

_KUBERNETES = frozenset({"kubernetes", "aks"})
_FIXED = {"provisioningState": "Succeeded", "provisioningErrors": None, "isAttachedCompute": False}


class ComputeRequest(ArmBody):
    location: str | None = None
    tags: Texts = Field(default_factory=dict)
    identity: Annotated[Document | None, WORKERS_OF_THE_PLATFORM] = None
    properties: Annotated[Document, WORKERS_OF_THE_PLATFORM] = Field(default_factory=dict)
    """Recorded and returned as sent."""

    def body(self) -> dict[str, Any]:
        kind = next((kind for name, kind in self.properties.items() if name.lower() == "computetype"), None)
        if str(kind).lower() in _KUBERNETES:
            raise InvalidRequest(
                f"computeType is {kind!r}: this platform runs no deployments on a Kubernetes cluster of its users",
                target="properties.computeType",
            )
        return self.model_dump(by_alias=True, exclude={"location"}, exclude_none=True)


class ComputeBody(Resource):
    location: str
    tags: Texts
    identity: Document | None = None
    properties: Document

    @classmethod
    def of(cls, compute: Compute) -> "ComputeBody":
        sent = compute.body.get("properties", {})
        return cls(
            id=compute.arm_id,
            name=compute.name,
            type=f"{PROVIDER}/workspaces/computes",
            system_data=SystemData.of(compute.authorship),
            location=compute.location,
            tags=compute.body.get("tags", {}),
            identity=compute.body.get("identity"),
            properties={"computeType": "AmlCompute", **sent, **_FIXED},
        )
