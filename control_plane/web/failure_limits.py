"""Limits of failed authentications: a token bucket for each address and each subject."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_MOST_BUCKETS = 10_000


@dataclass(slots=True)
class _Bucket:
    failures_left: float
    filled_at: float


class FailureLimits:
    """A valid credential never asks for the limits, so that failures from the same address lock no caller out."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._per_second = per_minute / 60
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def note_failure(self, *names: str) -> None:
        for name in names:
            bucket = self._filled(name)
            bucket.failures_left = max(0.0, bucket.failures_left - 1)

    def retry_after_seconds(self, *names: str) -> int | None:
        """Seconds until the next failure is within the limit of every name. None: a failure is within it now."""
        missing = max(1 - self._filled(name).failures_left for name in names)
        return None if missing <= 0 else math.ceil(missing / self._per_second)

    def _filled(self, name: str) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(name, _Bucket(self._most, now))
        self._buckets.move_to_end(name)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        bucket.failures_left = min(self._most, bucket.failures_left + (now - bucket.filled_at) * self._per_second)
        bucket.filled_at = now
        return bucket
