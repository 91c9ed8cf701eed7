"""The port to whatever scores a request: model workers of this machine today, a remote pod one day."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from data_plane.scoring.payload.values import Payload, Result
from modelyard.core.domain.routing import DeploymentRoute


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    id: str
    payload: Payload
    params: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Answer:
    result: Result
    seconds: float
    """What the model itself took."""


class TargetRetired(Exception):
    """The target lets go of its workers, and none of them has this request: whoever is next may score it."""


class Target(Protocol):
    @property
    def is_ready(self) -> bool:
        """Whether a request would be scored at once or after others, but without waiting for a worker to start."""

    async def score(self, request: ScoreRequest, deadline: float) -> Answer:
        """The answer before `deadline` (the event loop's clock), or a Refusal. Cancelling gives the place back.

        Raises TargetRetired when the target was retired before the request was sent, or when its worker died after that
        and there is no other.
        """

    def update(self, route: DeploymentRoute) -> None:
        """Take over the workers and limits of a newer snapshot for the same generation."""

    def retire(self) -> None:
        """Answer what is here, take nothing more, then let go of the workers."""
