"""A limit of the requests under way: beyond it 429 at once, in place of a 503 after a long wait.

The layer lies behind the authentication: a client without a valid token takes no place. Requests without a caller,
public paths and signed URLs of files, pass.
"""

import math
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.web.error_response import platform_error_response
from modelyard.core.domain.caller import CallerKind
from modelyard.core.errors import TooManyRequests

_UNCOUNTED = (CallerKind.ANONYMOUS, CallerKind.SIGNED_URL)
_LONGEST_PAUSE_SECONDS = 30
_WEIGHT = 0.1
"""Of the newest request in the mean."""


class RequestLimitMiddleware:
    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most
        self._under_way = 0
        self._mean_seconds = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["state"]["caller"].kind in _UNCOUNTED:
            await self._app(scope, receive, send)
            return
        if self._under_way >= self._most:
            error = TooManyRequests(self._most, self._retry_after_seconds())
            await platform_error_response(error)(scope, receive, send)
            return
        self._under_way += 1
        began = time.monotonic()
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way -= 1
            self._mean_seconds += _WEIGHT * (time.monotonic() - began - self._mean_seconds)

    def _retry_after_seconds(self) -> int:
        """The mean time of a request: as long as it takes until the requests under way have ended."""
        return max(1, min(math.ceil(self._mean_seconds), _LONGEST_PAUSE_SECONDS))
