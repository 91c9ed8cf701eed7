"""An online deployment, and what a PUT of one comes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from control_plane.resources.deployments.failure import Failure
from control_plane.resources.operations.operation import Operation
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.errors import OperationInProgress


@dataclass(frozen=True, slots=True)
class OnlineDeployment:
    key: int
    endpoint_id: str
    endpoint: str
    name: str
    location: str
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    body: Mapping[str, Any]
    """What was said and nothing here acts on, given back as it came."""
    instance_count: int
    spec: DeploymentSpec
    """Of the wanted generation."""
    state: ProvisioningState
    failure: Failure | None
    wanted_generation: int
    serving_generation: int | None
    operation: Operation | None
    created_at: datetime
    modified_at: datetime

    @property
    def arm_id(self) -> str:
        return f"{self.endpoint_id}/deployments/{self.name}"


@dataclass(frozen=True, slots=True)
class OnlineDeploymentSpec:
    """What a PUT asks for. Its spec names the model and environment as the client spelled them."""

    generation: DeploymentSpec
    instance_count: int
    location: str | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OnlineDeploymentPatch:
    """None: leave it as it is."""

    instance_count: int | None
    tags: Mapping[str, str] | None


class Step(StrEnum):
    """What has to be done so that what is asked for runs."""

    DESCRIBE = "describe"
    """Nothing: tags and the like are all that may differ."""
    SCALE = "scale"
    REPLACE = "replace"
    """A new generation beside the serving one, if there is one."""


def check_is_settled(current: OnlineDeployment) -> None:
    if not current.state.is_final:
        raise OperationInProgress(f"deployment {current.name!r}", current.state)


def next_step(current: OnlineDeployment, spec: DeploymentSpec, instance_count: int) -> Step:
    """Raises OperationInProgress while an earlier change is under way."""
    check_is_settled(current)
    serves_it = current.wanted_generation == current.serving_generation and current.spec == spec
    if not serves_it:
        return Step.REPLACE
    is_settled = current.state == ProvisioningState.SUCCEEDED and current.instance_count == instance_count
    return Step.DESCRIBE if is_settled else Step.SCALE


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as the host last saw it."""

    worker_id: str
    generation: int
    slot: int
    state: str
    pid: int | None
    restarts: int
    last_exit_reason: str | None
    started_at: datetime | None
    seen_at: datetime
