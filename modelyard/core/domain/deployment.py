"""The specification of a deployment, with Azure's defaults and limits."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from modelyard.core.domain.documents import VERSION, check_format, known_fields
from modelyard.core.domain.requirements import Requirements
from modelyard.core.errors import InvalidRequest

_LONGEST_REQUEST_SECONDS = 180.0
_LONGEST_PROBE_SECONDS = 300.0
_FORMAT = 1
MOST_INSTANCES = 50
MOST_WORKERS = 32
WORKER_COUNT = "WORKER_COUNT"
"""Environment variable of Azure's inference server: worker processes per instance."""


def require(condition: bool, message: str, *, target: str | None = None) -> None:
    """Raise InvalidRequest with the message unless the condition holds."""
    if not condition:
        raise InvalidRequest(message, target=target)


@dataclass(frozen=True, slots=True)
class Probe:
    """How often a worker is probed, and how many failures in a row make the worker unhealthy.

    Failures count after `initial_delay_seconds`; a worker that is ready earlier serves earlier.
    """

    initial_delay_seconds: float = 10.0
    period_seconds: float = 10.0
    timeout_seconds: float = 2.0
    success_threshold: int = 1
    failure_threshold: int = 30

    def __post_init__(self) -> None:
        rules = Requirements()
        rules.require(
            0 < self.timeout_seconds < _LONGEST_PROBE_SECONDS,
            f"timeout is {self.timeout_seconds:g} s: use more than 0 s and less than 300 s",
            target="timeout",
        )
        rules.require(
            self.period_seconds > 0, f"period is {self.period_seconds:g} s: use more than 0 s", target="period"
        )
        rules.require(
            self.initial_delay_seconds >= 0,
            f"initialDelay is {self.initial_delay_seconds:g} s: use 0 s or more",
            target="initialDelay",
        )
        rules.require(
            self.success_threshold >= 1,
            f"successThreshold is {self.success_threshold}: use 1 or more",
            target="successThreshold",
        )
        rules.require(
            self.failure_threshold >= 1,
            f"failureThreshold is {self.failure_threshold}: use 1 or more",
            target="failureThreshold",
        )
        rules.check()

    @property
    def seconds_until_unhealthy(self) -> float:
        """Time from the start of a worker until failing probes make the worker unhealthy."""
        return self.initial_delay_seconds + self.period_seconds * self.failure_threshold


class Batching(StrEnum):
    """Whether waiting requests share a predict call."""

    AUTO = "auto"
    """On for flavors that predict each row independently."""
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class RequestSettings:
    request_timeout_seconds: float = 5.0
    max_concurrent_requests_per_instance: int | None = None
    """None: the gateway's default, higher than Azure's 1."""
    max_queue_wait_seconds: float | None = None
    batching: str = Batching.AUTO
    max_batch_delay_seconds: float = 0.0
    """How long a request may wait for others to share a predict call."""
    max_batch_rows: int | None = None
    """None: the gateway's limit."""

    def __post_init__(self) -> None:
        rules = Requirements()
        rules.require(
            0 < self.request_timeout_seconds <= _LONGEST_REQUEST_SECONDS,
            f"requestTimeout is {self.request_timeout_seconds:g} s: use more than 0 s and at most 180 s",
            target="properties.requestSettings.requestTimeout",
        )
        concurrency = self.max_concurrent_requests_per_instance
        rules.require(
            concurrency is None or concurrency >= 1,
            f"maxConcurrentRequestsPerInstance is {concurrency}: use 1 or more",
            target="properties.requestSettings.maxConcurrentRequestsPerInstance",
        )
        queue_wait = self.max_queue_wait_seconds
        rules.require(
            queue_wait is None or queue_wait >= 0,
            f"maxQueueWait is {queue_wait} s: use 0 s or more",
            target="properties.requestSettings.maxQueueWait",
        )
        self._check_batching(rules)
        rules.check()

    def _check_batching(self, rules: Requirements) -> None:
        rules.require(
            self.batching in tuple(Batching),
            f"batching is {self.batching!r}: use auto, on or off",
            target="properties.requestSettings.batching",
        )
        rules.require(
            0 <= self.max_batch_delay_seconds < self.request_timeout_seconds,
            f"maxBatchDelay is {self.max_batch_delay_seconds:g} s: use 0 s or more and less than requestTimeout "
            f"({self.request_timeout_seconds:g} s)",
            target="properties.requestSettings.maxBatchDelay",
        )
        rules.require(
            self.max_batch_rows is None or self.max_batch_rows >= 1,
            f"maxBatchRows is {self.max_batch_rows}: use 1 or more",
            target="properties.requestSettings.maxBatchRows",
        )


@dataclass(frozen=True, slots=True)
class DeploymentSpec:
    """The desired state of one generation. Tags, description and instance count change without a new generation."""

    model_id: str
    """ARM id of a registered model version."""
    environment_id: str | None = None
    """ARM id of a registered environment version, or the URI of one of Azure's curated environments.

    None: the environment in the model's own files.
    """
    curated_conda_file: str | None = None
    """The platform's conda specification of the curated environment, as at the time of the request."""
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    has_network: bool = False
    """Azure's egressPublicNetworkAccess. Azure's default is Enabled; a model without code has no use for a network."""
    request_settings: RequestSettings = field(default_factory=RequestSettings)
    liveness_probe: Probe = field(default_factory=Probe)
    readiness_probe: Probe = field(default_factory=Probe)

    @property
    def workers_per_instance(self) -> int:
        return workers_per_instance(self.environment_variables)

    def to_dict(self) -> dict[str, Any]:
        return {VERSION: _FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "DeploymentSpec":
        """Raises UnreadableFormat for the specification of a control plane that is a major format version ahead."""
        check_format(document, noun="the deployment's specification", newest=_FORMAT)
        return cls(
            model_id=document["model_id"],
            environment_id=document["environment_id"],
            curated_conda_file=document.get("curated_conda_file"),
            environment_variables=document["environment_variables"],
            has_network=document.get("has_network", False),
            request_settings=RequestSettings(**known_fields(RequestSettings, document["request_settings"])),
            liveness_probe=Probe(**known_fields(Probe, document["liveness_probe"])),
            readiness_probe=Probe(**known_fields(Probe, document["readiness_probe"])),
        )


def check_instance_count(count: int) -> int:
    require(
        1 <= count <= MOST_INSTANCES,
        f"the instance count is {count}: use 1 to {MOST_INSTANCES}, or delete the deployment to stop it",
        target="sku.capacity",
    )
    return count


def check_worker_count(environment_variables: Mapping[str, str]) -> int:
    """The value of WORKER_COUNT, 1 by default. Raises InvalidRequest."""
    text = environment_variables.get(WORKER_COUNT, "1").strip()
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    require(
        1 <= count <= MOST_WORKERS,
        f"the environment variable WORKER_COUNT (workers per instance) is {text[:40]!r}: "
        f"use a whole number from 1 to {MOST_WORKERS}",
        target="properties.environmentVariables",
    )
    return count


def workers_per_instance(environment_variables: Mapping[str, str]) -> int:
    """WORKER_COUNT of an existing deployment. An invalid value is older than the check and means 1."""
    try:
        return check_worker_count(environment_variables)
    except InvalidRequest:
        return 1
