"""An online deployment, and the step that a PUT of a deployment takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from control_plane.resources.deployments.deployment import CommonDeploymentSpec, Deployment, check_is_settled
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import ProvisioningState


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineDeploymentSpec(CommonDeploymentSpec):
    instance_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineDeployment(Deployment):
    instance_count: int
    protections: tuple[str, ...] | None
    """In force for every running worker; None without a running worker."""


@dataclass(frozen=True, slots=True)
class OnlineDeploymentPatch:
    """None: unchanged."""

    instance_count: int | None
    tags: Mapping[str, str] | None

    def apply_to(self, current: OnlineDeployment) -> OnlineDeploymentSpec:
        return OnlineDeploymentSpec(
            generation=current.spec,
            instance_count=current.instance_count if self.instance_count is None else self.instance_count,
            location=current.location,
            tags=current.tags if self.tags is None else self.tags,
            properties=current.properties,
            body=current.body,
        )


class UpdateStep(StrEnum):
    """The work of a PUT."""

    DESCRIBE = "describe"
    """Change tags and properties only."""
    SCALE = "scale"
    REPLACE = "replace"
    """Build a new generation, beside the serving one if there is one."""


def update_step(current: OnlineDeployment, spec: DeploymentSpec, instance_count: int) -> UpdateStep:
    """Raises OperationInProgress while an earlier change is under way."""
    check_is_settled(current)
    serves_spec = current.wanted_generation == current.serving_generation and current.spec == spec
    if not serves_spec:
        return UpdateStep.REPLACE
    has_instances = current.state == ProvisioningState.SUCCEEDED and current.instance_count == instance_count
    return UpdateStep.DESCRIBE if has_instances else UpdateStep.SCALE


@dataclass(frozen=True, slots=True)
class Worker:
    """A model worker, as last observed by the host."""

    worker_id: str
    generation: int
    slot: int
    state: str
    pid: int | None
    restarts: int
    last_exit_reason: str | None
    protections: tuple[str, ...]
    started_at: datetime | None
    seen_at: datetime
