"""The library's ports: scoring a request, and running a model.

The gateway sees a `Replica`: all model workers of a generation of a deployment, on any machine. The host drives a
`Runtime`, which turns each `ReplicaSpec` into a running copy of the model: locally, a model worker. A batch worker gets
exclusive model workers from a `Launcher`.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from data_plane.scoring.payload.values import Payload, Result
from modelyard.core.domain.deployment import Probe
from modelyard.core.domain.routing import DeploymentRoute


class ScoreRequest(NamedTuple):
    id: str
    payload: Payload
    params: Mapping[str, Any] | None
    """None for a model that declares no params."""


class ScoreResponse(NamedTuple):
    result: Result
    model_seconds: float
    """Seconds that the model's predict call took."""
    arrays_differ: bool = False
    """Whether the worker has seen another result for an array than for a DataFrame."""


class ReplicaRetired(Exception):
    """A retired replica returns a request that no worker has: the next choice of a deployment may score the request."""


class Replica(Protocol):
    @property
    def is_ready(self) -> bool:
        """Whether a worker is loaded and connected: a new request waits for other requests only, not for a start."""

    def place(self) -> AbstractContextManager[None]:
        """A place among the pending requests, before the work for a request begins.

        Raises TooManyRequests, and ReplicaRetired.
        """

    async def score(self, request: ScoreRequest, deadline: float) -> ScoreResponse:
        """Score one decoded request that has a place. `deadline` is on the event loop's clock, in seconds.

        Raises ScoringError, at the deadline at the latest. Raises ReplicaRetired when the replica was retired before a
        worker received the request, or when that worker died and the replica has no other. Cancelling the call takes
        the request out of the queue.
        """

    def update(self, route: DeploymentRoute) -> None:
        """Take over the workers and limits of a newer snapshot for the same generation."""

    def retire(self) -> None:
        """Finish the requests that a worker has, accept no more, then close the connections to the workers."""


class AdmissionSlot(Protocol):
    """The count of pending requests of one deployment, over all gateway processes that share the port."""

    def enter(self, limit: int) -> bool:
        """Count one more request, unless `limit` requests are pending already. Return whether the request counts."""

    def leave(self) -> None:
        """Count one request less."""

    def release(self) -> None:
        """Give the slot up: no request is counted here again."""


# Starting and observing replicas.


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """Desired state of a running copy of a model: the generation, the files on the node, the share of the node."""

    endpoint: str
    deployment: str
    generation: int
    python: Path
    """Absolute path of the environment's interpreter."""

    bundle_dir: Path
    model_dir: Path
    """Becomes AZUREML_MODEL_DIR: the folder that holds the registered model folder."""

    account: str = ""
    """Replicas of one account run as one user, where the platform can give users (default: the deployment's)."""

    environment_variables: Mapping[str, str] = field(default_factory=dict)
    has_network: bool = False
    """Whether the deployment asks for a network."""

    workers: int = 1
    """Number of workers that the account runs at once."""

    threads: int = 1
    """Threads for numerical libraries (OMP, OpenBLAS, MKL)."""

    request_seconds: float = 0.0
    """Longest time from a request's arrival to its deadline."""

    liveness_probe: Probe = field(default_factory=Probe)
    labels: Mapping[str, str] = field(default_factory=dict)
    """Notes of the caller, kept for the next host. `environment` names the folder in use."""

    def __post_init__(self) -> None:
        if not self.python.is_absolute():
            raise ValueError(f"the interpreter of a replica must be an absolute path, not {self.python}")
        if not self.account:
            object.__setattr__(self, "account", f"deployment {self.endpoint}/{self.deployment}")


class Phase(StrEnum):
    STARTING = "Starting"
    READY = "Ready"
    LOST = "Lost"
    """Out of touch: the replica has ended, is about to end, or has closed the connection."""
    DRAINING = "Draining"


@dataclass(frozen=True, slots=True)
class ObservedReplica:
    """Observed state of a running copy. A reader may be a moment behind."""

    id: str
    endpoint: str
    deployment: str
    generation: int
    labels: Mapping[str, str]
    address: str
    """Path of the Unix socket on which the replica takes requests."""

    pid: int
    phase: Phase
    started_at: float
    ready_at: float | None = None
    error: str | None = None
    """The model's own error, when the model failed to load."""

    missed_probes: int = 0
    """Liveness probes without an answer, in a row."""

    protocol_fault: str | None = None
    """Why the replica's messages cannot be read."""

    overdue_for: float | None = None
    """Seconds since the deadline of the request at work; None before that deadline, and for an idle replica."""

    memory: int = 0
    """Resident bytes; measured only for an overdue replica."""

    exit_reason: str | None = None
    """Why the replica ended; None for a running replica."""

    protections: tuple[str, ...] = ()
    """Names of the protections around the model."""


class ReplicaNotStarted(Exception):
    """The runtime could not start a replica, and has removed all traces of the start."""


class Runtime(Protocol):
    """Runs replicas. The host reconciles; a runtime only starts, observes and ends."""

    def adopt(self, serving: Collection[str]) -> None:
        """Take over the replicas of an earlier host. Those in `serving` count as ready until proven otherwise."""

    def start(self, spec: ReplicaSpec) -> ObservedReplica:
        """Start a replica; the model loads afterwards. Raises ReplicaNotStarted."""

    def observe(self) -> Sequence[ObservedReplica]:
        """Return every replica, ended replicas included, until `remove`."""

    def set_probe(self, replica_id: str, probe: Probe) -> None:
        """Probe liveness as the deployment now asks."""

    def drain(self, replica_id: str, seconds: float) -> None:
        """Have the replica answer its requests and end within `seconds`."""

    def kill(self, replica_id: str, reason: str) -> None:
        """End the replica now. `reason` becomes its exit reason."""

    def remove(self, replica_id: str) -> None:
        """Forget an ended replica and remove all files except the log."""

    def available_memory(self) -> int | None:
        """Return the bytes available for a further replica, or None for an unknown number."""


# Scoring for an exclusive caller.


class ReplicaGone(Exception):
    """The replica closed the connection or does not listen: it has ended, or is about to end."""


class ReplicaSilent(Exception):
    """The replica did not answer in time."""


class ModelNotLoaded(Exception):
    """The model failed to load; the text is the model's own error."""


class ScoringFailed(Exception):
    """The replica answered with an error in place of a result."""

    def __init__(self, kind: str, type_name: str, message: str, reference: str | None) -> None:
        super().__init__(f"{type_name}: {message}")
        self.kind = kind
        """`model`, `input`, `deadline` or `protocol`."""
        self.type_name = type_name
        self.message = message
        self.reference = reference
        """Stands in the replica's log beside the traceback."""


class ExclusiveReplica(Protocol):
    """A running model for a single caller and a single thread, such as a batch worker."""

    def load(self, timeout: float) -> None:
        """Connect and wait for the model. Raises ModelNotLoaded, ReplicaGone, ReplicaSilent."""

    def score(self, payload: Payload, *, timeout: float, params: Mapping[str, Any] | None = None) -> Result:
        """Return the model's result. Raises ScoringFailed, ReplicaGone, ReplicaSilent."""

    def read_log(self, *, until: str | None = None) -> bytes:
        """Return the output since the last call, or its end. Wait for the text `until`, for a second at most."""

    @property
    def is_alive(self) -> bool: ...

    def memory(self) -> int:
        """Return resident bytes; 0 for an ended replica."""

    def exit_reason(self, *, wait: float) -> str | None:
        """Return why the replica ended, or None if it still runs after `wait` seconds."""

    def kill(self, reason: str) -> None:
        """End the replica; callable from any thread, during `load` and `score` too."""

    def close(self, reason: str) -> bytes:
        """End the replica, wait for the end and remove the files. Return the rest of the output."""


class Launcher(Protocol):
    """Starts exclusive replicas, which end with the caller's process."""

    def launch(self, spec: ReplicaSpec) -> ExclusiveReplica: ...

    def end_predecessors(self) -> None:
        """End replicas of an earlier process with the same name."""

    def available_memory(self) -> int | None:
        """Return the bytes available for a further replica, or None for an unknown number."""

    def close(self) -> None:
        """End all remaining replicas."""
