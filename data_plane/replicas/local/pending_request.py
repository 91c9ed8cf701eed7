"""A request on the way through a replica, and the batch for the trip to a worker."""

import asyncio
import math
import time
from collections.abc import Sequence

from data_plane.replicas.port import ReplicaRetired, ScoreRequest, ScoreResponse
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.payload.values import Result
from data_plane.scoring.wire.concatenate import Shape, concatenate, shape_of
from data_plane.scoring.wire.encode import encode_score, row_count
from data_plane.worker.frames import Buffer

Outcome = ScoreResponse | ScoringError


class PendingRequest:
    """A request in the queue, or in a batch that was sent to a worker."""

    __slots__ = (
        "_shape",
        "arrived_at",
        "batch",
        "deadline",
        "deaths",
        "is_queued",
        "is_single",
        "queue_deadline",
        "request",
        "response",
        "rows",
        "trial_result",
    )

    def __init__(
        self,
        request: ScoreRequest,
        response: "asyncio.Future[ScoreResponse]",
        now: float,
        deadline: float,
        queue_seconds: float | None,
    ) -> None:
        self.request = request
        self.response = response
        self.rows = row_count(request.payload)
        self.arrived_at = now
        self.deadline = deadline
        self.queue_deadline = math.inf if queue_seconds is None else now + queue_seconds
        """Time at which the request fails if no worker received the request."""
        self.batch: Batch | None = None
        """The batch under way with the request."""
        self.is_queued = False
        self.is_single = False
        """Set after the request's batch failed: a request sent alone can harm no neighbour."""
        self.trial_result: Result | None = None
        """The result from a trial batch, to be compared with the single result."""
        self.deaths = 0
        """Number of workers that died while scoring the request alone."""
        self._shape: Shape | bool | None = False

    @property
    def shape(self) -> Shape | None:
        """Computed only when a second request could share the batch."""
        if isinstance(self._shape, bool):
            self._shape = None if self.is_single else shape_of(self.request.payload)
        return self._shape

    @property
    def is_settled(self) -> bool:
        """Whether the request was answered, failed or abandoned."""
        return self.response.done()

    def settle(self, outcome: Outcome | ReplicaRetired) -> None:
        if self.response.done():
            return
        if isinstance(outcome, ScoreResponse):
            self.response.set_result(outcome)
        else:
            self.response.set_exception(outcome)

    def make_single(self) -> None:
        self.is_single = True
        self._shape = None

    def fits(self, other: "PendingRequest") -> bool:
        return self.shape is not None and self.shape == other.shape and self.request.params == other.request.params


class Batch:
    """Requests with a common predict call: a single request, or several with concatenated rows."""

    __slots__ = ("awaited", "is_overdue", "members", "number")

    def __init__(self, number: int, members: Sequence[PendingRequest]) -> None:
        self.number = number
        """Request id of the frame, unique among the batches under way."""
        self.members = members
        self.awaited = len(members)
        """Number of members with a waiting caller."""
        self.is_overdue = False
        """Whether the deadline of a member has passed."""
        for member in members:
            member.batch = self

    @property
    def is_single(self) -> bool:
        return len(self.members) == 1

    @property
    def row_counts(self) -> list[int]:
        return [member.rows for member in self.members]

    @property
    def blocks_worker(self) -> bool:
        """Whether the worker may be busy with the batch for longer than any caller waits."""
        return self.is_overdue or self.awaited == 0

    def frame(self, now: float, *, arrays_differ: bool = False) -> Sequence[Buffer]:
        requests = [member.request for member in self.members]
        payload = requests[0].payload if self.is_single else concatenate([request.payload for request in requests])
        return encode_score(
            payload,
            request_id=self.number,
            params=requests[0].params,
            request_ids=[request.id for request in requests],
            deadline=time.time() - now + max(member.deadline for member in self.members),
            arrays_differ=arrays_differ,
        )

    def split(self) -> Sequence[PendingRequest]:
        """Dissolve the batch and return the members."""
        for member in self.members:
            member.batch = None
        return self.members
