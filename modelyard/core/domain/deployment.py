"""What a deployment asks for, with Azure's defaults and limits (azure_behaviour.md 1.3)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from modelyard.core.domain.documents import VERSION, check_format, known_fields
from modelyard.core.errors import InvalidRequest

_LONGEST_REQUEST_SECONDS = 180.0
_LONGEST_PROBE_SECONDS = 300.0
_FORMAT = 1
MOST_INSTANCES = 50
MOST_WORKERS = 32
WORKER_COUNT = "WORKER_COUNT"
"""The environment variable that Azure's inference server knows: processes per instance."""


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


class Batching(StrEnum):
    """Whether requests that wait are scored together."""

    AUTO = "auto"
    """Where the model's flavor is known to answer row by row."""
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class RequestSettings:
    request_timeout_seconds: float = 5.0
    max_concurrent_requests_per_instance: int | None = None
    """None: the gateway's default, which is more than Azure's 1."""
    max_queue_wait_seconds: float | None = None
    batching: str = Batching.AUTO
    max_batch_delay_seconds: float = 0.0
    """How long a request may be held back for company."""
    max_batch_rows: int | None = None
    """None: the gateway's own bound."""

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
        self._check_batching()

    def _check_batching(self) -> None:
        if self.batching not in tuple(Batching):
            raise InvalidRequest(
                f"batching must be auto, on or off, not {self.batching!r}", target="requestSettings.batching"
            )
        if not 0 <= self.max_batch_delay_seconds < self.request_timeout_seconds:
            raise InvalidRequest(
                f"maxBatchDelay must not be negative and must be shorter than requestTimeout "
                f"({self.request_timeout_seconds:g} s), not {self.max_batch_delay_seconds:g} s",
                target="requestSettings.maxBatchDelay",
            )
        if self.max_batch_rows is not None and self.max_batch_rows < 1:
            raise InvalidRequest("maxBatchRows must be 1 or more", target="requestSettings.maxBatchRows")


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
            environment_variables=document["environment_variables"],
            request_settings=RequestSettings(**known_fields(RequestSettings, document["request_settings"])),
            liveness_probe=Probe(**known_fields(Probe, document["liveness_probe"])),
            readiness_probe=Probe(**known_fields(Probe, document["readiness_probe"])),
        )


def check_instance_count(count: int) -> int:
    if not 1 <= count <= MOST_INSTANCES:
        raise InvalidRequest(
            f"the instance count must be from 1 to {MOST_INSTANCES}, not {count}; delete the deployment to stop it",
            target="sku.capacity",
        )
    return count


def check_worker_count(environment_variables: Mapping[str, str]) -> int:
    """What WORKER_COUNT asks for; 1 without it."""
    text = environment_variables.get(WORKER_COUNT, "1").strip()
    count = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    if not 1 <= count <= MOST_WORKERS:
        raise InvalidRequest(
            f"the environment variable WORKER_COUNT, the number of workers per instance, must be a whole number "
            f"from 1 to {MOST_WORKERS}, not {text[:40]!r}",
            target="properties.environmentVariables",
        )
    return count


def workers_per_instance(environment_variables: Mapping[str, str]) -> int:
    """Of a deployment that exists: what it says was checked, or is older than the rule and means 1."""
    try:
        return check_worker_count(environment_variables)
    except InvalidRequest:
        return 1
