"""Computes as JSON."""

from typing import Annotated, Any

from pydantic import Field

from control_plane.features.computes.compute import Compute
from control_plane.features.computes.machine import Machine
from control_plane.resources.arm_body import ArmBody, Document, Texts
from control_plane.resources.compute_name import LOCAL, WORKERS_OF_THE_PLATFORM
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


class ComputeNodesBody(ArmBody):
    nodes: list[Document] = Field(default_factory=list)
    """Empty: the workers of the platform are no nodes of a compute."""


class VmSizeBody(ArmBody):
    name: str
    family: str
    v_cpus: int = Field(alias="vCPUs")
    gpus: int = 0
    memory_gb: float = Field(alias="memoryGB")
    low_priority_capable: bool = False
    premium_io: bool = Field(default=False, alias="premiumIO")
    supported_compute_types: list[str]

    @classmethod
    def of(cls, machine: Machine) -> "VmSizeBody":
        return cls(
            name=LOCAL,
            family=LOCAL,
            vCPUs=machine.cpus,
            memoryGB=round(machine.memory_megabytes / 1024, 1),
            supported_compute_types=["AmlCompute", "ComputeInstance"],
        )
