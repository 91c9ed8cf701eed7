"""A limit of the requests under way: a few work at a time, some wait in order, and further ones get 429 at once.

More threads at work than connections to the database would only wait for one another, and keep the event loop from its
turn; more waiting requests would get a 503 after a long wait. The layer lies behind the authentication: a client
without a valid token takes no place. Public paths and requests that carry files pass.
"""

import asyncio
import math
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.web.deadline import FILES
from control_plane.web.error_response import platform_error_response
from modelyard.core.domain.caller import CallerKind
from modelyard.core.errors import TooManyRequests

_UNCOUNTED = (CallerKind.ANONYMOUS, CallerKind.SIGNED_URL)
_LONGEST_PAUSE_SECONDS = 30
_WEIGHT = 0.1
"""Of the newest request in the mean."""


class RequestLimitMiddleware:
    def __init__(self, app: ASGIApp, most: int, at_once: int) -> None:
        """`most` requests are under way, of which `at_once` work."""
        self._app = app
        self._most = most
        self._turns = asyncio.Semaphore(at_once)
        self._under_way = 0
        self._mean_seconds = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_uncounted(scope):
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            error = TooManyRequests(self._most, self._retry_after_seconds())
            await platform_error_response(error)(scope, receive, send)
            return
        self._under_way += 1
        began = time.monotonic()
        try:
            async with self._turns:
                await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
            self._mean_seconds += _WEIGHT * (time.monotonic() - began - self._mean_seconds)

    def _retry_after_seconds(self) -> int:
        """Return about the time in which the requests under way end: the mean time of a request, with its wait."""
        return max(1, min(math.ceil(self._mean_seconds), _LONGEST_PAUSE_SECONDS))


def _is_uncounted(scope: Scope) -> bool:
    return scope["state"]["caller"].kind in _UNCOUNTED or scope["path"].startswith(FILES)
