"""Computes as JSON."""

from typing import Any

from pydantic import Field

from control_plane.features.computes.compute import Compute
from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.resource import Resource, SystemData
from modelyard.core.domain.resource_ids import PROVIDER

_FIXED = {"provisioningState": "Succeeded", "provisioningErrors": None, "isAttachedCompute": False}


class ComputeRequest(ArmBody):
    location: str | None = None
    tags: Texts = Field(default_factory=dict)
    identity: Document | None = None
    properties: Document = Field(default_factory=dict)
    """Recorded and returned as sent."""

    def body(self) -> dict[str, Any]:
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
