"""The routing snapshot: all that a gateway knows. The host publishes it, frozen, by atomic rename."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkerRoute:
    worker_id: str
    socket: str
    pid: int


@dataclass(frozen=True, slots=True)
class DeploymentRoute:
    name: str
    generation: int
    bundle_dir: str
    workers: tuple[WorkerRoute, ...]
    """Ready workers only; empty while none is."""
    request_timeout_seconds: float
    max_concurrent_requests_per_instance: int | None
    """None: the gateway's own default."""
    max_queue_wait_seconds: float | None
    instance_count: int = 1
    """As asked for: each may have several workers, and limits count by instance."""
    batching: str = "auto"
    """"auto", "on" or "off"."""
    max_batch_delay_seconds: float = 0.0
    max_batch_rows: int | None = None
    """None: the gateway's own bound."""


@dataclass(frozen=True, slots=True)
class EndpointRoute:
    name: str
    auth_mode: str
    """"Key", "AMLToken" or "AADToken"."""
    key_digests: tuple[str, ...]
    """SHA-256 of each valid key, in hex: the snapshot never holds a key."""
    token_public_key: str | None
    """Ed25519 public key, base64, that verifies the endpoint's tokens."""
    traffic: Mapping[str, int]
    mirror_traffic: Mapping[str, int]
    deployments: Mapping[str, DeploymentRoute]


@dataclass(frozen=True, slots=True)
class RoutingSnapshot:
    """Ordered by (revision, sequence): Postgres counts revisions, the publishing host counts within one."""

    revision: int
    sequence: int
    endpoints: Mapping[str, EndpointRoute] = field(default_factory=dict)

    @property
    def order(self) -> tuple[int, int]:
        return self.revision, self.sequence

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "RoutingSnapshot":
        document = json.loads(content)
        endpoints = {name: _endpoint(entry) for name, entry in document["endpoints"].items()}
        return cls(document["revision"], document["sequence"], endpoints)


def _endpoint(entry: dict[str, Any]) -> EndpointRoute:
    deployments = {name: _deployment(route) for name, route in entry["deployments"].items()}
    return EndpointRoute(**{**entry, "key_digests": tuple(entry["key_digests"]), "deployments": deployments})


def _deployment(entry: dict[str, Any]) -> DeploymentRoute:
    return DeploymentRoute(**{**entry, "workers": tuple(WorkerRoute(**worker) for worker in entry["workers"])})
