"""Natural batching for one generation of a deployment: what waits when a worker is free is the next batch.

A model earns it. Its first batches are trials: their requests are also scored one by one, these answers are given out,
and both have to say the same. A model that does not answer with one entry per row, or whose answer for a row depends on
the others, is given its requests one by one from then on.
"""

import logging
from collections import deque
from collections.abc import Sequence

from data_plane.replicas.local.batch import Batch
from data_plane.replicas.local.pending_request import Outcome, Waiting
from data_plane.replicas.local.throughput_estimate import Pace
from data_plane.replicas.port import ScoreResponse
from data_plane.scoring.errors import DeadlinePassed
from data_plane.scoring.wire.concatenate import size_of
from data_plane.scoring.wire.split import is_same_result, split_result
from modelyard.core.domain.routing import DeploymentRoute

_log = logging.getLogger(__name__)

_MOST_ROWS = 1_000
_MOST_BYTES = 16 << 20
_SHARE_OF_THE_DEADLINE = 0.25
# So many requests must have been answered alike, alone and in a batch.
_TRIALS = 16


class Batching:
    def __init__(self, *, by_nature: bool) -> None:
        """`by_nature`: what "auto" means for the model."""
        self._by_nature = by_nature
        self._pace = Pace()
        self._trials = _TRIALS
        self._gave_up = False
        self.is_on = False

    def update(self, route: DeploymentRoute) -> None:
        self._name = f"deployment {route.name}, generation {route.generation}"
        self._delay = route.max_batch_delay_seconds
        self._most_rows = route.max_batch_rows or _MOST_ROWS
        wanted = self._by_nature if route.batching == "auto" else route.batching == "on"
        self.is_on = wanted and not self._gave_up

    # What the next batch is.

    def held_back_until(self, queue: deque[Waiting], now: float) -> float:
        """0, unless the deployment asks for a delay and the first in the queue may still find company."""
        first = queue[0]
        if not self._delay or not self.is_on or first.goes_alone:
            return 0.0
        until = first.came + min(self._delay, (first.deadline - first.came) * _SHARE_OF_THE_DEADLINE)
        if now >= until or sum(waiting.rows for waiting in queue) >= self._rows_within(first.deadline - now):
            return 0.0
        return until

    def take(self, queue: deque[Waiting], now: float, most: int) -> list[Waiting]:
        """The first that waits, and up to `most - 1` others that can share a batch with it. The rest stay in order."""
        first = queue.popleft()
        taken = [first]
        if not self.is_on or first.goes_alone or not queue:
            return taken
        earliest = first.deadline
        rows, room = first.rows, self._rows_within(earliest - now)
        size = size_of(first.request.payload)
        skipped: list[Waiting] = []
        while queue and len(taken) < most and rows < room and size < _MOST_BYTES:
            waiting = queue.popleft()
            earliest = min(earliest, waiting.deadline)
            room = min(room, self._rows_within(earliest - now))
            size += size_of(waiting.request.payload)
            if rows + waiting.rows <= room and size <= _MOST_BYTES and first.fits(waiting):
                taken.append(waiting)
                rows += waiting.rows
            else:
                skipped.append(waiting)
        queue.extendleft(reversed(skipped))
        return taken

    def _rows_within(self, seconds: float) -> int:
        return min(self._most_rows, self._pace.rows_within(seconds * _SHARE_OF_THE_DEADLINE))

    # What becomes of it.

    def outcomes(self, batch: Batch, outcome: Outcome) -> Sequence[Outcome] | None:
        """What each member is told. None when they are to be scored one by one."""
        if batch.is_single:
            if self.is_on and isinstance(outcome, ScoreResponse):
                self._learn(batch.members[0], outcome)
            return (outcome,)
        if isinstance(outcome, ScoreResponse):
            return self._shared(batch, outcome)
        if isinstance(outcome, DeadlinePassed):
            return [outcome] * len(batch.members)
        self._pace.start_again()
        return None

    def _learn(self, waiting: Waiting, answer: ScoreResponse) -> None:
        self._pace.note(waiting.rows, answer.model_seconds)
        if not self._trials:
            return
        if split_result(answer.result, (waiting.rows,)) is None:
            self._give_up("the model does not answer with one entry per row")
        elif waiting.foretold is not None:
            self._trials -= 1
            if not is_same_result(waiting.foretold, answer.result):
                self._give_up("the model answered a row otherwise when it was alone than when it was in a batch")

    def _shared(self, batch: Batch, answer: ScoreResponse) -> Sequence[Outcome] | None:
        row_counts = batch.row_counts
        parts = split_result(answer.result, row_counts)
        if parts is None:
            self._give_up("the model did not answer a batch with one entry per row")
            return None
        self._pace.note(sum(row_counts), answer.model_seconds)
        if not self._trials:
            return [ScoreResponse(part, answer.model_seconds) for part in parts]
        for waiting, part in zip(batch.members, parts, strict=True):
            waiting.foretold = part
        return None

    def _give_up(self, reason: str) -> None:
        if self.is_on:
            self.is_on = False
            self._gave_up = True
            _log.warning("Batching is off from now on for %s: %s", self._name, reason)
