"""What a deployment asks for, with Azure's defaults and limits (azure_behaviour.md 1.3)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modelyard.core.errors import InvalidRequest

_LONGEST_REQUEST_SECONDS = 180.0
_LONGEST_PROBE_SECONDS = 300.0
MOST_INSTANCES = 50


@dataclass(frozen=True, slots=True)
class Probe:
    """How often a worker is asked whether it is well, and how many failures in a row mean that it is not.

    `initial_delay_seconds` is when failures begin to count; a worker that is ready earlier serves earlier.
    """

    initial_delay_seconds: float = 10.0
    period_seconds: float = 10.0
    timeout_seconds: float = 2.0
    success_threshold: int = 1
    failure_threshold: int = 30

    def __post_init__(self) -> None:
        if not 0 < self.timeout_seconds < _LONGEST_PROBE_SECONDS:
            raise InvalidRequest(f"a probe's timeout must be above 0 and below 300 s, not {self.timeout_seconds:g} s")
        if self.period_seconds <= 0 or self.initial_delay_seconds < 0:
            raise InvalidRequest("a probe's period must be above 0 and its initial delay not negative")
        if self.success_threshold < 1 or self.failure_threshold < 1:
            raise InvalidRequest("a probe's thresholds must be 1 or more")

    @property
    def patience_seconds(self) -> float:
        """How long failing is borne, from the start of a worker."""
        return self.initial_delay_seconds + self.period_seconds * self.failure_threshold


@dataclass(frozen=True, slots=True)
class RequestSettings:
    request_timeout_seconds: float = 5.0
    max_concurrent_requests_per_instance: int | None = None
    """None: the gateway's default, which is more than Azure's 1."""
    max_queue_wait_seconds: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.request_timeout_seconds <= _LONGEST_REQUEST_SECONDS:
            raise InvalidRequest(
                f"requestTimeout must be above 0 and at most 180 s, not {self.request_timeout_seconds:g} s",
                target="requestSettings.requestTimeout",
            )
        if self.max_concurrent_requests_per_instance is not None and self.max_concurrent_requests_per_instance < 1:
            raise InvalidRequest("maxConcurrentRequestsPerInstance must be 1 or more", target="requestSettings")
        if self.max_queue_wait_seconds is not None and self.max_queue_wait_seconds < 0:
            raise InvalidRequest("maxQueueWait must not be negative", target="requestSettings.maxQueueWait")


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """One generation's wishes. Tags, description and instance count are not among them: they change without one."""

    model_id: str
    """ARM id of a registered model version."""
    environment_id: str | None = None
    """ARM id of a registered environment version, or None: the environment that the model's own files ask for."""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    request_settings: RequestSettings = field(default_factory=RequestSettings)
    liveness_probe: Probe = field(default_factory=Probe)
    readiness_probe: Probe = field(default_factory=Probe)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "DeploymentSpec":
        return cls(
            model_id=document["model_id"],
            environment_id=document["environment_id"],
            environment_variables=document["environment_variables"],
            request_settings=RequestSettings(**document["request_settings"]),
            liveness_probe=Probe(**document["liveness_probe"]),
            readiness_probe=Probe(**document["readiness_probe"]),
        )


def check_instance_count(count: int) -> int:
    if not 1 <= count <= MOST_INSTANCES:
        raise InvalidRequest(
            f"the instance count must be from 1 to {MOST_INSTANCES}, not {count}; delete the deployment to stop it",
            target="sku.capacity",
        )
    return count
