"""The port to a scoring protocol: how a request of its kind is read, and how it is answered or refused."""

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from data_plane.gateway.messages import Request, Response
from data_plane.gateway.routing_table import LiveDeployment, LiveEndpoint
from data_plane.replicas.port import ScoreResponse
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.signature import Enforced

Handler = Callable[[Request, LiveEndpoint], Coroutine[Any, Any, Response]]
Refuse = Callable[[ScoringError], Response]


class Envelope(Protocol):
    def read(self, request: Request, body: bytes, deployment: LiveDeployment) -> Enforced:
        """What the deployment's model is given. Raises a ScoringError, or SignatureViolations."""

    def write(self, request: Request, body: bytes, deployment: LiveDeployment, answer: ScoreResponse) -> Response:
        """The answer as this protocol's callers expect it."""

    def refuse(self, refusal: ScoringError) -> Response:
        """The refusal as this protocol's callers expect it."""
