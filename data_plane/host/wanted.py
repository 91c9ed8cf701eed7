"""The wanted state at a moment in the database: frozen, to serve while the database is away."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from modelyard.core.domain.deployment import DeploymentSpec
from modelyard.core.domain.lifecycle import ProvisioningState
from modelyard.core.domain.rate_limit import NO_LIMIT, RateLimit
from modelyard.core.domain.routing import TokenRoute

_UNDER_WAY = (ProvisioningState.CREATING, ProvisioningState.UPDATING, ProvisioningState.SCALING)


class Slot(NamedTuple):
    """The place of a worker: an ended worker is replaced in the same slot."""

    deployment_id: int
    generation: int
    number: int
    """From 0 to the number of workers less one: instances times workers per instance."""


@dataclass(frozen=True, slots=True)
class WantedGeneration:
    id: int
    number: int
    spec: DeploymentSpec
    bundle_hash: str
    lock_hash: str
    """Key of the environment."""


@dataclass(frozen=True, slots=True)
class WantedDeployment:
    id: int
    endpoint: str
    name: str
    state: ProvisioningState
    instance_count: int
    serving: WantedGeneration | None
    candidate: WantedGeneration | None
    """A built generation, to serve once all workers are ready."""
    awaits_revision: int | None = None

    @property
    def is_being_deleted(self) -> bool:
        return self.state == ProvisioningState.DELETING

    @property
    def is_at_rest(self) -> bool:
        """Whether no worker is wanted and no operation is under way."""
        return self.serving is None and self.candidate is None and self.state.is_final


@dataclass(frozen=True, slots=True)
class WantedEndpoint:
    id: int
    name: str
    state: ProvisioningState
    auth_mode: str
    key_digests: tuple[str, ...]
    token_public_key: str
    traffic: Mapping[str, int]
    mirror_traffic: Mapping[str, int]
    deployments: tuple[WantedDeployment, ...] = ()
    """Deployments of an endpoint that is being deleted are being deleted too."""
    awaits_revision: int | None = None
    workspace: str = ""
    """ARM id."""
    tokens: Mapping[str, TokenRoute] = field(default_factory=dict)
    """Access tokens by SHA-256 digest."""
    rate_limit: RateLimit = NO_LIMIT
    """Of each key."""

    @property
    def is_being_deleted(self) -> bool:
        return self.state == ProvisioningState.DELETING

    @property
    def is_at_rest(self) -> bool:
        """Whether the host has nothing to do for the endpoint but to route to it."""
        return self.state.is_final and all(deployment.is_at_rest for deployment in self.deployments)


@dataclass(frozen=True, slots=True)
class Goal:
    """A generation with all wanted workers."""

    deployment: WantedDeployment
    generation: WantedGeneration

    @property
    def is_candidate(self) -> bool:
        return self.generation is self.deployment.candidate

    @property
    def slots(self) -> list[Slot]:
        return [Slot(self.deployment.id, self.generation.number, number) for number in range(self.worker_count)]

    @property
    def worker_count(self) -> int:
        return self.deployment.instance_count * self.generation.spec.workers_per_instance


@dataclass(frozen=True)
class Wanted:
    """Most endpoints of a large platform are at rest: the properties cost a pass over all endpoints once, and each turn
    of the host a pass over the active ones.
    """

    revision: int
    """The newest requested routing revision."""
    applied: int
    """The newest routing revision on record as applied by every gateway."""
    endpoints: tuple[WantedEndpoint, ...] = ()

    @cached_property
    def active_endpoints(self) -> tuple[WantedEndpoint, ...]:
        return tuple(endpoint for endpoint in self.endpoints if not endpoint.is_at_rest)

    @property
    def active_deployments(self) -> Iterator[WantedDeployment]:
        """The deployments of active endpoints."""
        for endpoint in self.active_endpoints:
            yield from endpoint.deployments

    @cached_property
    def deployment_ids(self) -> frozenset[int]:
        return frozenset(deployment.id for endpoint in self.endpoints for deployment in endpoint.deployments)

    @cached_property
    def goals(self) -> tuple[Goal, ...]:
        return tuple(
            Goal(deployment, generation)
            for deployment in self.active_deployments
            if not deployment.is_being_deleted
            for generation in (deployment.serving, deployment.candidate)
            if generation is not None
        )

    @cached_property
    def goal_by_slot(self) -> Mapping[Slot, Goal]:
        return {slot: goal for goal in self.goals for slot in goal.slots}

    @cached_property
    def awaits_gateways(self) -> bool:
        """Whether an operation on record waits for the gateways to apply this revision."""
        waiting: tuple[WantedEndpoint | WantedDeployment, ...] = (*self.active_endpoints, *self.active_deployments)
        return self.applied < self.revision or any(_is_due(row, self.revision) for row in waiting)


def _is_due(row: WantedEndpoint | WantedDeployment, revision: int) -> bool:
    return row.awaits_revision is not None and row.awaits_revision <= revision and row.state in _UNDER_WAY
