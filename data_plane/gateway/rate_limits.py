"""Requests per second and per day of each key of an endpoint, counted over all gateway processes of the machine.

A window is a second or a day of UTC. Each process counts the requests that it lets pass in a small table in a file of
its own, and maps and reads the tables of all gateways, without locks: a gateway that hangs or dies holds no other
gateway up. A table outlives its process, so that the count of the day goes on after a restart. Count first, compare
then: gateways do not exceed a limit together. Two that take the last request at one moment may both refuse it.
"""

import hashlib
import logging
import time
from array import array
from collections.abc import Callable, Sequence, Set
from pathlib import Path

from data_plane.gateway.credentials import secret_of
from data_plane.gateway.errors import RateLimitExceeded
from data_plane.gateway.mapped_table import FREE, Words, key_of, map_words, probe
from data_plane.gateway.request import Request
from modelyard.core.domain.rate_limit import RateLimit
from modelyard.core.domain.routing import EndpointRoute

_log = logging.getLogger(__name__)

_SLOT = 3
"""A key, and for the second and the day a word with the window's number above the count of 32 bits."""
_SECOND, _DAY = 1, 2
_COUNT_BITS = 32
_COUNT = (1 << _COUNT_BITS) - 1
_SECONDS_PER_DAY = 86_400
_MOST_CREDENTIALS = 1024


class RateCounters:
    """The counts of a gateway process, and the counts of the other gateway processes."""

    def __init__(self, folder: Path, index: int = 0, gateways: int = 1) -> None:
        own = folder / f"gateway-{index}.limits"
        # The files of gateways that no longer run have counts of this day.
        others = {*folder.glob("gateway-*.limits"), *(folder / f"gateway-{each}.limits" for each in range(gateways))}
        self._own = map_words(own, _SLOT)
        self._others = tuple(map_words(file, _SLOT) for file in sorted(others - {own}))
        self._by_key: dict[int, KeyCounter] = {}

    def counter(self, *name: object) -> "KeyCounter":
        """The counter of `name`. All gateways use the same name for a key."""
        key = key_of(name)
        counter = self._by_key.get(key)
        if counter is None:
            counter = self._by_key[key] = self._new_counter(key)
        return counter

    def _new_counter(self, key: int) -> "KeyCounter":
        used = {counter.slot for counter in self._by_key.values()}
        slot = _take_slot(self._own, key, used, time.time())
        if slot is not None:
            return KeyCounter(self._own, slot, self._others)
        _log.warning("The table of rate limits is full: each gateway counts a further key for itself")
        return KeyCounter(array("Q", [key, 0, 0]), 0, ())


class KeyCounter:
    """The counts of one key, in the second and in the day."""

    def __init__(self, own: Words, slot: int, others: Sequence[Words]) -> None:
        self.slot = slot
        self.second = _WindowCounter(own, slot, _SECOND, others)
        self.day = _WindowCounter(own, slot, _DAY, others)


class _WindowCounter:
    __slots__ = ("_count", "_key", "_others", "_own", "_unit", "_window", "_word")

    def __init__(self, own: Words, slot: int, unit: int, others: Sequence[Words]) -> None:
        self._own = own
        self._word = slot + unit
        self._unit = unit
        self._key = own[slot]
        self._window, self._count = divmod(own[self._word], 1 << _COUNT_BITS)
        self._others = [(table, 0) for table in others]
        """The table of another gateway, and the slot in which the key was last."""

    def take(self, window: int, limit: int) -> int:
        """Count a request in the window. Return the requests that are left; below 0, the request is not counted."""
        count = self._count + 1 if window == self._window else 1
        self._own[self._word] = window << _COUNT_BITS | count
        left = limit - count
        if self._others:
            left -= self._others_count(window)
        self._window, self._count = window, count
        if left < 0:
            self.give_back()
        return left

    def give_back(self) -> None:
        """Undo the last `take`."""
        self._count -= 1
        self._own[self._word] = self._window << _COUNT_BITS | self._count

    def _others_count(self, window: int) -> int:
        count = 0
        for index, (table, slot) in enumerate(self._others):
            if table[slot] != self._key:
                found = _find(table, self._key)
                if found is None:
                    continue
                slot = found
                self._others[index] = table, slot
            word = table[slot + self._unit]
            if word >> _COUNT_BITS == window:
                count += word & _COUNT
        return count


class EndpointLimiter:
    """Lets the requests of one endpoint pass within its limits, for each key."""

    def __init__(self, route: EndpointRoute, limit: RateLimit, counters: RateCounters) -> None:
        self._endpoint = route.name
        self._keys = frozenset(route.key_digests)
        self._counters = counters
        self._per_second = limit.requests_per_second
        self._per_day = limit.requests_per_day
        self._policy = (b"ratelimit-policy", b", ".join(_policies(limit)))
        self._by_authorization: dict[bytes, KeyCounter] = {}
        """Counters by the header of the request: to hash the key again costs more than to count."""

    def admit(self, request: Request, now: float) -> None:
        """Count an authenticated request, and tell the caller what is left. Raises RateLimitExceeded."""
        authorization = request.header(b"authorization") or b""
        counter = self._by_authorization.get(authorization) or self._counter(authorization)
        second = int(now)
        told = ""
        if self._per_second is not None:
            left = counter.second.take(second, self._per_second)
            told = f'"second";r={left if left > 0 else 0};t=1'
            if left < 0:
                self._tell(request, told)
                raise RateLimitExceeded(self._per_second, "second", 1)
        if self._per_day is not None:
            left = counter.day.take(second // _SECONDS_PER_DAY, self._per_day)
            until_tomorrow = _SECONDS_PER_DAY - second % _SECONDS_PER_DAY
            told = f'{told}{", " if told else ""}"day";r={left if left > 0 else 0};t={until_tomorrow}'
            if left < 0:
                if self._per_second is not None:
                    counter.second.give_back()
                self._tell(request, told)
                raise RateLimitExceeded(self._per_day, "day", until_tomorrow)
        self._tell(request, told)

    def _tell(self, request: Request, left: str) -> None:
        request.limit_headers = [self._policy, (b"ratelimit", left.encode())]

    def _counter(self, authorization: bytes) -> KeyCounter:
        if len(self._by_authorization) >= _MOST_CREDENTIALS:
            self._by_authorization.clear()
        counter = self._counters.counter(self._endpoint, self._credential(authorization))
        self._by_authorization[authorization] = counter
        return counter

    def _credential(self, authorization: bytes) -> str:
        """The digest of a key. Tokens change every hour, so that an endpoint's tokens are counted together."""
        digest = hashlib.sha256(secret_of(authorization) or b"").hexdigest()
        return digest if digest in self._keys else "tokens"


MakeLimiter = Callable[[EndpointRoute], EndpointLimiter | None]


def limiters(counters: RateCounters) -> MakeLimiter:
    def limiter(route: EndpointRoute) -> EndpointLimiter | None:
        limit = RateLimit(route.requests_per_second, route.requests_per_day)
        return EndpointLimiter(route, limit, counters) if limit.to_dict() else None

    return limiter


def _policies(limit: RateLimit) -> list[bytes]:
    """Quotas and windows in seconds, as the header RateLimit-Policy lists them."""
    per_second, per_day = limit.requests_per_second, limit.requests_per_day
    return [
        *([b'"second";q=%d;w=1' % per_second] if per_second is not None else []),
        *([b'"day";q=%d;w=%d' % (per_day, _SECONDS_PER_DAY)] if per_day is not None else []),
    ]


# The table: open addressing. A key is in the slot of its hash, or in the next slot that was free or of an earlier day.


def _take_slot(table: Words, key: int, used: Set[int], now: float) -> int | None:
    found = _find(table, key)
    if found is not None:
        return found
    today = int(now) // _SECONDS_PER_DAY
    for slot in probe(key, _SLOT):
        if table[slot] == FREE or (slot not in used and _last_day(table, slot) < today):
            table[slot + _SECOND] = table[slot + _DAY] = 0
            table[slot] = key
            return slot
    return None


def _last_day(table: Words, slot: int) -> int:
    """The day of the slot's last request."""
    second = table[slot + _SECOND] >> _COUNT_BITS
    return max(table[slot + _DAY] >> _COUNT_BITS, second // _SECONDS_PER_DAY)


def _find(table: Words, key: int) -> int | None:
    for slot in probe(key, _SLOT):
        found = table[slot]
        if found == key:
            return slot
        if found == FREE:
            return None
    return None
