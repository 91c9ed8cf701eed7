"""A batch deployment: a model that is built and waits for jobs. No process runs between jobs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from control_plane.resources.deployments.deployment import CommonDeploymentSpec, Deployment, check_is_settled
from modelyard.core.domain.batch import BatchSettings
from modelyard.core.domain.deployment import DeploymentSpec


@dataclass(frozen=True, slots=True)
class Build:
    """The bundle and the environment that jobs of a deployment run."""

    bundle_hash: str
    lock_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDeploymentSpec(CommonDeploymentSpec):
    settings: BatchSettings
    description: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchDeployment(Deployment):
    settings: BatchSettings
    description: str | None
    build: Build | None
    """Of the serving generation. None: no generation is built yet."""


@dataclass(frozen=True, slots=True)
class BatchDeploymentPatch:
    """None: unchanged."""

    tags: Mapping[str, str] | None
    description: str | None
    overrides: Mapping[str, Any]
    """By the names of BatchSettings."""

    def apply_to(self, current: BatchDeployment) -> BatchDeploymentSpec:
        return BatchDeploymentSpec(
            generation=current.spec,
            settings=current.settings.with_overrides(self.overrides),
            location=current.location,
            description=current.description if self.description is None else self.description,
            tags=current.tags if self.tags is None else self.tags,
            properties=current.properties,
            body=current.body,
        )


def needs_build(current: BatchDeployment, spec: DeploymentSpec) -> bool:
    """Whether a spec needs a new generation. Raises OperationInProgress while an earlier change is under way."""
    check_is_settled(current)
    return current.spec != spec or current.wanted_generation != current.serving_generation
