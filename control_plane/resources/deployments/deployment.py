"""The shared part of online and batch deployments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.resources.authorship import Authorship
from control_plane.resources.operations.operation import Operation
from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.errors import OperationInProgress


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a deployment is Failed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonDeploymentSpec:
    """A deployment as a PUT asks for it."""

    generation: DeploymentSpec
    """A change of the generation needs a build. Model and environment are spelled as in the request."""
    location: str | None
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    body: Mapping[str, Any]
    """Fields without an effect on the platform, returned as sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    key: int
    endpoint_id: str
    """ARM id of the endpoint."""
    endpoint: str
    name: str
    location: str
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    body: Mapping[str, Any]
    """Fields without an effect on the platform, returned as sent."""
    spec: DeploymentSpec
    """Of the wanted generation."""
    state: ProvisioningState
    failure: Failure | None
    wanted_generation: int
    serving_generation: int | None
    operation: Operation | None
    """The operation under way, else the last one until it expires."""
    authorship: Authorship

    @property
    def arm_id(self) -> str:
        return f"{self.endpoint_id}/deployments/{self.name}"


def check_is_settled(current: Deployment) -> None:
    """Raises OperationInProgress while a change is under way."""
    if not current.state.is_final:
        raise OperationInProgress(f"deployment {current.name!r}", current.state)
