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
_LATER_FIELDS = ("workspace", "tokens", "derived_token_keys", "requests_per_second", "requests_per_day")
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
    derived_token_keys: tuple[str, ...] = ()
    """Ed25519 public keys, base64, that verify tokens derived from these tokens."""
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
        return SnapshotEncoder().encode(self)

    @classmethod
    def from_json(cls, content: bytes) -> "RoutingSnapshot":
        """Raises UnreadableFormat for the snapshot of a host that is a major format version ahead."""
        return SnapshotDecoder().decode(content)


class SnapshotEncoder:
    """Encodes one snapshot after another as JSON, with a line for each endpoint; an unchanged route only once.

    The lines are for readers that keep the routes of unchanged lines: see `SnapshotDecoder`.
    """

    def __init__(self) -> None:
        self._lines: dict[str, tuple[EndpointRoute, bytes]] = {}

    def encode(self, snapshot: RoutingSnapshot) -> bytes:
        self._lines = {name: self._line(name, route) for name, route in snapshot.endpoints.items()}
        header = {VERSION: _FORMAT, "revision": snapshot.revision, "sequence": snapshot.sequence}
        first_line = json.dumps(header).removesuffix("}").encode() + _ENDPOINTS
        return first_line + b",\n".join(line for _, line in self._lines.values()) + _END

    def _line(self, name: str, route: EndpointRoute) -> tuple[EndpointRoute, bytes]:
        known = self._lines.get(name)
        if known is not None and known[0] is route:
            return known
        return route, f"{json.dumps(name)}: {json.dumps(_document(route))}".encode()


class SnapshotDecoder:
    """Decodes one snapshot after another. An endpoint whose line has not changed keeps the object of its route."""

    def __init__(self) -> None:
        self._routes: dict[bytes, tuple[str, EndpointRoute]] = {}

    def decode(self, content: bytes) -> RoutingSnapshot:
        """Raises UnreadableFormat for the snapshot of a host that is a major format version ahead."""
        first_line, separator, rest = content.partition(_ENDPOINTS)
        if not (separator and rest.endswith(_END)) or b"\n" in first_line:
            # The snapshot of a host that writes no lines.
            return _decode_whole(content)
        header = json.loads(first_line + b"}")
        check_format(header, noun="the routing snapshot", newest=_FORMAT)
        lines = rest.removesuffix(_END).split(b",\n")
        self._routes = {line: self._routes.get(line) or _decode_line(line) for line in lines if line}
        return RoutingSnapshot(header["revision"], header["sequence"], dict(self._routes.values()))


_ENDPOINTS = b', "endpoints": {\n'
_END = b"\n}}\n"


def _decode_whole(content: bytes) -> RoutingSnapshot:
    document = json.loads(content)
    check_format(document, noun="the routing snapshot", newest=_FORMAT)
    endpoints = {name: _endpoint(entry) for name, entry in document["endpoints"].items()}
    return RoutingSnapshot(document["revision"], document["sequence"], endpoints)


def _decode_line(line: bytes) -> tuple[str, EndpointRoute]:
    ((name, entry),) = json.loads(b"{%s}" % line).items()
    return name, _endpoint(entry)


def _document(route: EndpointRoute) -> dict[str, Any]:
    document = asdict(route)
    for name in _LATER_FIELDS:
        if not document[name]:
            del document[name]
    for deployment in document["deployments"].values():
        for worker in deployment["workers"]:
            worker[_FORMER_WORKER_ID] = worker.pop("worker_id")
    return document


def _endpoint(entry: Mapping[str, Any]) -> EndpointRoute:
    deployments = {name: _deployment(route) for name, route in entry["deployments"].items()}
    tokens = {
        digest: TokenRoute(**known_fields(TokenRoute, token)) for digest, token in entry.get("tokens", {}).items()
    }
    known = known_fields(EndpointRoute, entry)
    converted = {
        "key_digests": tuple(entry["key_digests"]),
        "deployments": deployments,
        "tokens": tokens,
        "derived_token_keys": tuple(entry.get("derived_token_keys", ())),
    }
    return EndpointRoute(**{**known, **converted})


def _deployment(entry: Mapping[str, Any]) -> DeploymentRoute:
    workers = tuple(map(_worker, entry["workers"]))
    return DeploymentRoute(**{**known_fields(DeploymentRoute, entry), "workers": workers})


def _worker(entry: Mapping[str, Any]) -> WorkerRoute:
    return WorkerRoute(**{"worker_id": entry.get(_FORMER_WORKER_ID), **known_fields(WorkerRoute, entry)})
