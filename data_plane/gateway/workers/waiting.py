"""A request on its way through a target: in the queue, or sent to a worker."""

import asyncio
import time
from collections.abc import Sequence

from data_plane.gateway.refusals import Refusal
from data_plane.gateway.target import Answer, ScoreRequest
from data_plane.guests.codec import encode_score
from data_plane.worker.frames import Buffer


class Waiting:
    __slots__ = ("answer", "deaths", "frame", "is_sent", "number")

    def __init__(self, number: int, request: ScoreRequest, seconds: float) -> None:
        self.number = number
        """The frame's request id: no two of a target's requests that are under way have the same."""
        self.frame: Sequence[Buffer] = encode_score(
            request.payload,
            request_id=number,
            params=request.params,
            request_ids=(request.id,),
            deadline=time.time() + seconds,
        )
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.is_sent = False
        self.deaths = 0
        """Workers that died while they scored it."""

    @property
    def is_settled(self) -> bool:
        """Answered, refused, or given up by its caller."""
        return self.answer.done()

    def succeed(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def refuse(self, refusal: Refusal) -> None:
        if not self.answer.done():
            self.answer.set_exception(refusal)
