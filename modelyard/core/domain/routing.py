"""The routing snapshot: the only source of a gateway's knowledge. The host publishes by atomic rename.

Gateways and hosts are upgraded in turn, in either order, so a reader ignores unknown fields and accepts
the fields of the release before.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modelyard.core.domain.documents import VERSION, check_format, known_fields

_FORMAT = 1
_FORMER_WORKER_ID = "guest_id"
"""Name of `worker_id` in the file. Gateways of the release before refuse every unknown field."""
_LATER_FIELDS = ("workspace", "tokens", "requests_per_second", "requests_per_day")
"""Written for the endpoints that need them, because of the same gateways."""


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
    """The ready workers."""
    request_timeout_seconds: float
    max_concurrent_requests_per_instance: int | None
    """None: the gateway's default."""
    max_queue_wait_seconds: float | None
    instance_count: int = 1
    """Instances of the deployment. An instance may have several workers; limits count by instance."""
    batching: str = "auto"
    """"auto", "on" or "off"."""
    max_batch_delay_seconds: float = 0.0
    max_batch_rows: int | None = None
    """None: the gateway's limit."""


@dataclass(frozen=True, slots=True)
class TokenRoute:
    """An access token that the endpoint knows. Every process knows the token by its SHA-256 digest alone."""

    may_score: bool
    """Whether the token's roles include the role scorer in the endpoint's workspace."""
    expires_at: float | None
    """Unix seconds. None: never."""


@dataclass(frozen=True, slots=True)
class EndpointRoute:
    name: str
    auth_mode: str
    """"Key", "AMLToken" or "AADToken"."""
    key_digests: tuple[str, ...]
    """SHA-256 of each valid key, in hex. The snapshot never holds a key."""
    token_public_key: str | None
    """Ed25519 public key, base64, that verifies the endpoint's tokens."""
    traffic: Mapping[str, int]
    mirror_traffic: Mapping[str, int]
    deployments: Mapping[str, DeploymentRoute]
    workspace: str | None = None
    """ARM id of the workspace, in which the roles of OpenID Connect tokens count. None: the endpoint takes none."""
    tokens: Mapping[str, TokenRoute] = field(default_factory=dict)
    """Access tokens by SHA-256 digest in hex, for an endpoint with auth_mode AADToken."""
    requests_per_second: int | None = None
    """Limit of each key. None: no limit."""
    requests_per_day: int | None = None


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
        document = {VERSION: _FORMAT, **asdict(self)}
        for endpoint in document["endpoints"].values():
            for name in _LATER_FIELDS:
                if not endpoint[name]:
                    del endpoint[name]
            for deployment in endpoint["deployments"].values():
                for worker in deployment["workers"]:
                    worker[_FORMER_WORKER_ID] = worker.pop("worker_id")
        return json.dumps(document, sort_keys=True).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "RoutingSnapshot":
        """Raises UnreadableFormat for the snapshot of a host that is a major format version ahead."""
        document = json.loads(content)
        check_format(document, noun="the routing snapshot", newest=_FORMAT)
        endpoints = {name: _endpoint(entry) for name, entry in document["endpoints"].items()}
        return cls(document["revision"], document["sequence"], endpoints)


def _endpoint(entry: Mapping[str, Any]) -> EndpointRoute:
    deployments = {name: _deployment(route) for name, route in entry["deployments"].items()}
    tokens = {
        digest: TokenRoute(**known_fields(TokenRoute, token)) for digest, token in entry.get("tokens", {}).items()
    }
    known = known_fields(EndpointRoute, entry)
    converted = {"key_digests": tuple(entry["key_digests"]), "deployments": deployments, "tokens": tokens}
    return EndpointRoute(**{**known, **converted})


def _deployment(entry: Mapping[str, Any]) -> DeploymentRoute:
    workers = tuple(map(_worker, entry["workers"]))
    return DeploymentRoute(**{**known_fields(DeploymentRoute, entry), "workers": workers})


def _worker(entry: Mapping[str, Any]) -> WorkerRoute:
    return WorkerRoute(**{"worker_id": entry.get(_FORMER_WORKER_ID), **known_fields(WorkerRoute, entry)})
