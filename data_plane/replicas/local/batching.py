"""Natural batching for one generation of a deployment: the requests that wait when a worker becomes free are a batch.

The first batches of a model are trial batches: the requests are also scored singly, callers get the single results, and
single and batch results must agree. Batching goes off for models with results that are not row by row: without an entry
for each row, or with entries that depend on neighbouring rows.
"""

import logging
from collections import deque
from collections.abc import Sequence

from data_plane.replicas.local.pending_request import Batch, Outcome, PendingRequest
from data_plane.replicas.port import ScoreResponse
from data_plane.scoring.errors import DeadlinePassed
from data_plane.scoring.wire.concatenate import size_of
from data_plane.scoring.wire.split import is_same_result, split_result
from modelyard.core.domain.routing import DeploymentRoute

_log = logging.getLogger(__name__)

_MAX_ROWS = 1_000
_MAX_BYTES = 16 << 20
_DEADLINE_SHARE = 0.25
# Number of requests with a trial result that must agree with the single result.
_TRIALS = 16
# Number of single results that must have one entry per row. A later batch is checked anyway.
_SINGLE_CHECKS = 16
_GROWTH = 2
_LATEST_WEIGHT = 0.25


class ThroughputEstimate:
    """Estimates how many rows the model can score in a given time: few until larger batches were measured."""

    def __init__(self) -> None:
        self._seconds_per_row = 0.0
        self._most_measured = 0

    def rows_within(self, seconds: float) -> int:
        """Return 0 before the first measurement, which allows a batch of one request."""
        known = self._most_measured * _GROWTH
        if self._seconds_per_row * known <= seconds:
            return known
        return int(seconds / self._seconds_per_row)

    def add(self, rows: int, seconds: float) -> None:
        latest = seconds / max(rows, 1)
        if self._most_measured:
            self._seconds_per_row += _LATEST_WEIGHT * (latest - self._seconds_per_row)
        else:
            self._seconds_per_row = latest
        self._most_measured = max(self._most_measured, rows)

    def reset_size(self) -> None:
        """Start with small batches again, after a batch failed."""
        self._most_measured = 0


class Batching:
    def __init__(self, *, auto_enabled: bool) -> None:
        """`auto_enabled` tells whether the setting "auto" turns batching on for the model."""
        self._auto_enabled = auto_enabled
        self._estimate = ThroughputEstimate()
        self._trials_left = _TRIALS
        self._single_checks_left = _SINGLE_CHECKS
        self._is_disabled = False
        self.is_on = False

    def update(self, route: DeploymentRoute) -> None:
        self._name = f"deployment {route.name}, generation {route.generation}"
        self._delay = route.max_batch_delay_seconds
        self._max_rows = route.max_batch_rows or _MAX_ROWS
        wanted = self._auto_enabled if route.batching == "auto" else route.batching == "on"
        self.is_on = wanted and not self._is_disabled

    # Forming the next batch.

    def delayed_until(self, queue: deque[PendingRequest], now: float) -> float:
        """Return the time until which the first request waits for more requests, if the deployment sets a delay.

        Return 0.0 for a batch that starts now.
        """
        first = queue[0]
        if not self._delay or not self.is_on or first.is_single:
            return 0.0
        until = first.arrived_at + min(self._delay, (first.deadline - first.arrived_at) * _DEADLINE_SHARE)
        if now >= until or sum(pending.rows for pending in queue) >= self._rows_within(first.deadline - now):
            return 0.0
        return until

    def take(self, queue: deque[PendingRequest], now: float, most: int) -> list[PendingRequest]:
        """Take the first request, and at most `most - 1` later requests that fit into a batch with the first."""
        first = queue.popleft()
        taken = [first]
        if not self.is_on or first.is_single or not queue:
            return taken
        earliest = first.deadline
        rows, room = first.rows, self._rows_within(earliest - now)
        size = size_of(first.request.payload)
        skipped: list[PendingRequest] = []
        while queue and len(taken) < most and rows < room and size < _MAX_BYTES:
            pending = queue.popleft()
            if pending.deadline < earliest:
                earliest = pending.deadline
                room = min(room, self._rows_within(earliest - now))
            size += size_of(pending.request.payload)
            if rows + pending.rows <= room and size <= _MAX_BYTES and first.fits(pending):
                taken.append(pending)
                rows += pending.rows
            else:
                skipped.append(pending)
        queue.extendleft(reversed(skipped))
        return taken

    def _rows_within(self, seconds: float) -> int:
        return min(self._max_rows, self._estimate.rows_within(seconds * _DEADLINE_SHARE))

    # Splitting its outcome.

    def outcomes(self, batch: Batch, outcome: Outcome) -> Sequence[Outcome] | None:
        """Return each member's outcome, or None if the members have to be scored singly."""
        if batch.is_single:
            if self.is_on and isinstance(outcome, ScoreResponse):
                self._check_single(batch.members[0], outcome)
            return (outcome,)
        if isinstance(outcome, ScoreResponse):
            return self._split(batch, outcome)
        if isinstance(outcome, DeadlinePassed):
            return [outcome] * len(batch.members)
        self._estimate.reset_size()
        return None

    def _check_single(self, pending: PendingRequest, response: ScoreResponse) -> None:
        self._estimate.add(pending.rows, response.model_seconds)
        if not self._trials_left:
            return
        if self._single_checks_left:
            self._single_checks_left -= 1
            if split_result(response.result, (pending.rows,)) is None:
                self._disable("the model does not return one entry per row")
                return
        if pending.trial_result is not None:
            self._trials_left -= 1
            if not is_same_result(pending.trial_result, response.result):
                self._disable("the model's result for a row was not the same alone and in a batch")

    def _split(self, batch: Batch, response: ScoreResponse) -> Sequence[Outcome] | None:
        row_counts = batch.row_counts
        parts = split_result(response.result, row_counts)
        if parts is None:
            self._disable("the model did not return one entry per row for a batch")
            return None
        self._estimate.add(sum(row_counts), response.model_seconds)
        if not self._trials_left:
            return [ScoreResponse(part, response.model_seconds) for part in parts]
        for pending, part in zip(batch.members, parts, strict=True):
            pending.trial_result = part
        return None

    def _disable(self, reason: str) -> None:
        if self.is_on:
            self.is_on = False
            self._is_disabled = True
            _log.warning("Batching is off from now on for %s: %s", self._name, reason)
