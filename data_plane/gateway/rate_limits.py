"""Requests per second and per day of each key of an endpoint, counted over all gateway processes of the machine.

A window is a second or a day of UTC. Each process counts the requests that it lets pass in a small table in a file of
its own, and maps and reads the tables of all gateways, without locks: a gateway that hangs or dies holds no other
gateway up. A table outlives its process, so that the count of the day goes on after a restart. Count first, compare
then: gateways do not exceed a limit together. Two that take the last request at one moment may both refuse it.
"""

import hashlib
import logging
import mmap
import os
import time
from array import array
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from pathlib import Path

from data_plane.gateway.credentials import secret_of
from data_plane.gateway.errors import RateLimitExceeded
from data_plane.gateway.request import Request
from modelyard.core.domain.rate_limit import RateLimit
from modelyard.core.domain.routing import EndpointRoute

_log = logging.getLogger(__name__)

_SLOTS = 4096
_SLOT = 3
"""A key, and for the second and the day a word with the window's number above the count of 32 bits."""
_WORDS = _SLOTS * _SLOT
_BYTES = _WORDS * 8
_FREE = 0
_SECOND, _DAY = 1, 2
_COUNT_BITS = 32
_COUNT = (1 << _COUNT_BITS) - 1
_SECONDS_PER_DAY = 86_400
_MOST_CREDENTIALS = 1024

_Words = MutableSequence[int]


class RateCounters:
    """The counts of one gateway process, and those of the others."""

    def __init__(self, folder: Path, index: int = 0, gateways: int = 1) -> None:
        own = folder / f"gateway-{index}.limits"
        # The files of gateways that no longer run have counts of this day.
        others = {*folder.glob("gateway-*.limits"), *(folder / f"gateway-{each}.limits" for each in range(gateways))}
        self._own = _mapped(own)
        self._others = tuple(_mapped(file) for file in sorted(others - {own}))

    def counter(self, *name: object) -> "KeyCounter":
        """The counter of `name`. All gateways use the same name for a key."""
        key = _key(name)
        slot = _take_slot(self._own, key, time.time())
        if slot is None:
            _log.warning("The table of rate limits is full: each gateway counts a further key for itself")
            return KeyCounter(array("Q", [key, 0, 0]), 0, ())
        return KeyCounter(self._own, slot, self._others)


class KeyCounter:
    def __init__(self, own: _Words, slot: int, others: Sequence[_Words]) -> None:
        self._own = own
        self._slot = slot
        self._key = own[slot]
        self._others = [(table, 0) for table in others]
        """The table of another gateway, and the slot in which the key was last."""

    def take(self, unit: int, window: int, limit: int) -> int:
        """Count a request in the window. Return the requests that are left; below 0, the request is not counted."""
        own, word = self._own, self._slot + unit
        present = own[word]
        mine = (present & _COUNT) + 1 if present >> _COUNT_BITS == window else 1
        own[word] = window << _COUNT_BITS | mine
        left = limit - mine
        if self._others:
            left -= self._others_count(unit, window)
        if left < 0:
            own[word] = window << _COUNT_BITS | mine - 1
        return left

    def give_back(self, unit: int) -> None:
        """Undo a `take` that has just succeeded."""
        self._own[self._slot + unit] -= 1

    def _others_count(self, unit: int, window: int) -> int:
        count = 0
        for index, (table, slot) in enumerate(self._others):
            if table[slot] != self._key:
                found = _find(table, self._key)
                if found is None:
                    continue
                slot = found
                self._others[index] = table, slot
            word = table[slot + unit]
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
        self._policy = b", ".join(_policies(limit))
        self._by_authorization: dict[bytes, KeyCounter] = {}
        """Counters by the header of the request: to hash the key again costs more than to count."""

    def admit(self, request: Request, now: float) -> None:
        """Count an authenticated request, and tell the caller what is left. Raises RateLimitExceeded."""
        counter = self._counter(request.header(b"authorization") or b"")
        second = int(now)
        day, second_of_day = divmod(second, _SECONDS_PER_DAY)
        until_tomorrow = _SECONDS_PER_DAY - second_of_day
        left = []
        exceeded: tuple[int, str, int] | None = None
        if self._per_second is not None:
            left_in_second = counter.take(_SECOND, second, self._per_second)
            left.append(b'"second";r=%d;t=1' % max(0, left_in_second))
            if left_in_second < 0:
                exceeded = self._per_second, "second", 1
        if self._per_day is not None and exceeded is None:
            left_in_day = counter.take(_DAY, day, self._per_day)
            left.append(b'"day";r=%d;t=%d' % (max(0, left_in_day), until_tomorrow))
            if left_in_day < 0:
                exceeded = self._per_day, "day", until_tomorrow
                if self._per_second is not None:
                    counter.give_back(_SECOND)
        request.limit_headers = [(b"ratelimit-policy", self._policy), (b"ratelimit", b", ".join(left))]
        if exceeded is not None:
            raise RateLimitExceeded(*exceeded)

    def _counter(self, authorization: bytes) -> KeyCounter:
        counter = self._by_authorization.get(authorization)
        if counter is None:
            counter = self._counters.counter(self._endpoint, self._credential(authorization))
            if len(self._by_authorization) >= _MOST_CREDENTIALS:
                self._by_authorization.clear()
            self._by_authorization[authorization] = counter
        return counter

    def _credential(self, authorization: bytes) -> str:
        """The digest of a key. Tokens change every hour, so that an endpoint's tokens are counted together."""
        secret = secret_of(authorization)
        digest = hashlib.sha256(secret or b"").hexdigest()
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


def _mapped(file: Path) -> _Words:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Never shorter: another gateway may have mapped the file.
        os.ftruncate(descriptor, _BYTES)
        return memoryview(mmap.mmap(descriptor, _BYTES)).cast("Q")  # type: ignore[return-value]
    finally:
        os.close(descriptor)


def _take_slot(table: _Words, key: int, now: float) -> int | None:
    found = _find(table, key)
    if found is not None:
        return found
    today = int(now) // _SECONDS_PER_DAY
    for slot in _probe(key):
        if table[slot] == _FREE or _last_day(table, slot) < today:
            table[slot + _SECOND] = table[slot + _DAY] = 0
            table[slot] = key
            return slot
    return None


def _last_day(table: _Words, slot: int) -> int:
    """The day of the slot's last request."""
    second = table[slot + _SECOND] >> _COUNT_BITS
    return max(table[slot + _DAY] >> _COUNT_BITS, second // _SECONDS_PER_DAY)


def _find(table: _Words, key: int) -> int | None:
    for slot in _probe(key):
        found = table[slot]
        if found == key:
            return slot
        if found == _FREE:
            return None
    return None


def _probe(key: int) -> Iterator[int]:
    first = key % _SLOTS
    for slot in range(first, first + _SLOTS):
        yield slot % _SLOTS * _SLOT


def _key(name: tuple[object, ...]) -> int:
    digest = hashlib.blake2b(repr(name).encode(), digest_size=8).digest()
    return max(int.from_bytes(digest, "little"), _FREE + 1)
