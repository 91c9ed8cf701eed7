"""A request on its way through a target: in the queue, or in a batch that was sent to a worker."""

import asyncio
import math
from typing import TYPE_CHECKING

from data_plane.replicas.port import ReplicaRetired, ScoreRequest, ScoreResponse
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.payload.values import Result
from data_plane.scoring.wire.concatenate import Shape, shape_of
from data_plane.scoring.wire.encode import row_count

if TYPE_CHECKING:
    from data_plane.replicas.local.batch import Batch

Outcome = ScoreResponse | ScoringError


class Waiting:
    __slots__ = (
        "_shape",
        "answer",
        "batch",
        "came",
        "deadline",
        "deaths",
        "foretold",
        "goes_alone",
        "is_queued",
        "patience_ends",
        "request",
        "rows",
    )

    def __init__(self, request: ScoreRequest, now: float, deadline: float, patience: float | None) -> None:
        self.request = request
        self.rows = row_count(request.payload)
        self.came = now
        self.deadline = deadline
        self.patience_ends = math.inf if patience is None else now + patience
        """When it is refused if it was never sent to a worker."""
        self.answer: asyncio.Future[ScoreResponse] = asyncio.get_running_loop().create_future()
        self.batch: Batch | None = None
        """With which it was sent, and which is not answered yet."""
        self.is_queued = False
        self.goes_alone = False
        """After it was in a batch that failed, so that it harms nobody but itself."""
        self.foretold: Result | None = None
        """What a batch that is on trial said; its own answer is to be the same."""
        self.deaths = 0
        """Workers that died while they scored it alone."""
        self._shape: Shape | bool | None = False

    @property
    def shape(self) -> Shape | None:
        """Looked at only when there is another to share a batch with."""
        if isinstance(self._shape, bool):
            self._shape = None if self.goes_alone else shape_of(self.request.payload)
        return self._shape

    @property
    def is_settled(self) -> bool:
        """Answered, refused, or given up by its caller."""
        return self.answer.done()

    def settle(self, outcome: Outcome | ReplicaRetired) -> None:
        if self.answer.done():
            return
        if isinstance(outcome, ScoreResponse):
            self.answer.set_result(outcome)
        else:
            self.answer.set_exception(outcome)

    def send_alone(self) -> None:
        self.goes_alone = True
        self._shape = None

    def fits(self, other: "Waiting") -> bool:
        return self.shape is not None and self.shape == other.shape and self.request.params == other.request.params
