"""A batch deployment: a model that is built and waits for jobs. Nothing runs for it until then."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from control_plane.resources.deployments.failure import Failure
from control_plane.resources.operations.operation import Operation
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.errors import OperationInProgress


@dataclass(frozen=True, slots=True)
class Build:
    """What jobs run of a deployment."""

    bundle_hash: str
    lock_hash: str


@dataclass(frozen=True, slots=True)
class BatchDeployment:
    key: int
    endpoint_id: str
    endpoint: str
    name: str
    location: str
    description: str | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    body: Mapping[str, Any]
    """What was said and nothing here acts on, given back as it came."""
    settings: BatchSettings
    spec: DeploymentSpec
    """Of the wanted generation."""
    state: ProvisioningState
    failure: Failure | None
    wanted_generation: int
    serving_generation: int | None
    build: Build | None
    """Of the generation that jobs run. None: there is none yet."""
    operation: Operation | None
    created_at: datetime
    modified_at: datetime

    @property
    def arm_id(self) -> str:
        return f"{self.endpoint_id}/deployments/{self.name}"


@dataclass(frozen=True, slots=True)
class BatchDeploymentSpec:
    """What a PUT asks for. Its spec names the model and environment as the client spelled them."""

    generation: DeploymentSpec
    settings: BatchSettings
    location: str | None
    description: str | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BatchDeploymentPatch:
    """None: leave it as it is."""

    tags: Mapping[str, str] | None
    description: str | None
    overrides: Mapping[str, Any]


def needs_build(current: BatchDeployment, spec: DeploymentSpec) -> bool:
    """Whether it takes a new generation. Raises OperationInProgress while an earlier one is under way."""
    if not current.state.is_final:
        raise OperationInProgress(f"deployment {current.name!r}", current.state)
    return current.spec != spec or current.wanted_generation != current.serving_generation
