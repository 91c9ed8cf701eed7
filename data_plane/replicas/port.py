"""The port to a replica: the model workers of one generation of a deployment, wherever they run."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from data_plane.scoring.payload.values import Payload, Result
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


class ReplicaRetired(Exception):
    """A retired replica returns a request that no worker has: the next choice of a deployment may score the request."""


class Replica(Protocol):
    @property
    def is_ready(self) -> bool:
        """Whether a worker is loaded and connected: a new request waits for other requests only, not for a start."""

    async def score(self, request: ScoreRequest, deadline: float) -> ScoreResponse:
        """Score one decoded request. `deadline` is on the event loop's clock, in seconds.

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
