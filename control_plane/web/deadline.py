"""The deadline of a request: 503 in time, also while the database hangs and every worker thread waits for it.

A request waits in a thread that cannot be interrupted. So the answer does not wait for the thread: the layer below is
left to itself, and what it still sends is dropped.
"""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane.dependencies import Dependencies
from control_plane.resources.blob_container import ACCOUNT_SEGMENT
from control_plane.web.error_response import platform_error_response
from modelyard.core.errors import Unavailable

_ALWAYS = frozenset({"/health", "/openapi.json", "/metadata/endpoints"})
FILES = ("/uploads/", "/blobs/", "/datastores/", f"/{ACCOUNT_SEGMENT}/")
"""Requests that carry files take as long as the file does."""
_LOOK_SECONDS = 0.25


class DeadlineMiddleware:
    def __init__(self, app: ASGIApp, dependencies: Dependencies, seconds: float) -> None:
        self._app = app
        self._dependencies = dependencies
        self._seconds = seconds
        self._abandoned: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
        elif not self._dependencies.database_answers:
            await _database_away(scope, receive, send)
        elif scope["path"].startswith(FILES):
            await self._app(scope, receive, send)
        else:
            await self._answer_in_time(scope, receive, send)

    async def _answer_in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = is_abandoned = False

        async def send_unless_abandoned(message: Message) -> None:
            nonlocal has_started
            if not is_abandoned:
                has_started = True
                await send(message)

        deadline = time.monotonic() + self._seconds
        work = asyncio.ensure_future(self._app(scope, receive, send_unless_abandoned))
        try:
            while not (await asyncio.wait({work}, timeout=_LOOK_SECONDS))[0]:
                is_late = time.monotonic() > deadline
                if has_started or not (is_late or not self._dependencies.database_answers):
                    continue
                is_abandoned = True
                if is_late:
                    await _too_late(self._seconds, scope, receive, send)
                else:
                    await _database_away(scope, receive, send)
                return
            work.result()
        finally:
            if not work.done():
                self._abandon(work)

    def _abandon(self, work: "asyncio.Task[None]") -> None:
        """Cancel the work, which ends once its thread returns."""
        self._abandoned.add(work)
        work.add_done_callback(self._forget)
        work.cancel()

    def _forget(self, work: "asyncio.Task[None]") -> None:
        self._abandoned.discard(work)
        if not work.cancelled():
            # Asyncio logs an exception that is never retrieved.
            work.exception()


async def _database_away(scope: Scope, receive: Receive, send: Send) -> None:
    error = Unavailable("the platform's database does not answer; try again in a moment")
    await platform_error_response(error)(scope, receive, send)


async def _too_late(seconds: float, scope: Scope, receive: Receive, send: Send) -> None:
    error = Unavailable(
        f"the request took longer than {seconds:g} s, and its changes may or may not be made: read the resource, and "
        "try again"
    )
    await platform_error_response(error)(scope, receive, send)
