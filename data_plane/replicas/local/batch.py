"""What is sent to a worker as one: a single request, or several whose rows were joined."""

import time
from collections.abc import Sequence

from data_plane.replicas.local.pending_request import Waiting
from data_plane.scoring.wire.concatenate import concatenate
from data_plane.scoring.wire.encode import encode_score
from data_plane.worker.frames import Buffer


class Batch:
    __slots__ = ("is_overdue", "members", "number", "waited_for")

    def __init__(self, number: int, members: Sequence[Waiting]) -> None:
        self.number = number
        """The frame's request id: no two that are under way have the same."""
        self.members = members
        self.waited_for = len(members)
        """Members that somebody still waits for."""
        self.is_overdue = False
        """Whether the deadline of one of them has passed."""
        for member in members:
            member.batch = self

    @property
    def is_single(self) -> bool:
        return len(self.members) == 1

    @property
    def row_counts(self) -> list[int]:
        return [member.rows for member in self.members]

    @property
    def holds_up(self) -> bool:
        """Whether the worker may be at work on it for longer than anybody waits."""
        return self.is_overdue or self.waited_for == 0

    def frame(self, now: float) -> Sequence[Buffer]:
        requests = [member.request for member in self.members]
        payload = requests[0].payload if self.is_single else concatenate([request.payload for request in requests])
        return encode_score(
            payload,
            request_id=self.number,
            params=requests[0].params,
            request_ids=[request.id for request in requests],
            deadline=time.time() - now + max(member.deadline for member in self.members),
        )

    def disband(self) -> Sequence[Waiting]:
        """Its members, which are sent to no worker now."""
        for member in self.members:
            member.batch = None
        return self.members
