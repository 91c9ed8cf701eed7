"""The HTTP connection, beyond what uvicorn watches: slow and endless headers, and callers that hang up.

ASGI begins when the headers are complete, so nothing of this can be done there.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from data_plane.gateway.limits import Limits


class ScoringProtocol(HttpToolsProtocol):
    limits: ClassVar[Limits] = Limits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_headers = True
        self._header_bytes = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None

    # From opening to closing.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_headers:
            return
        self._header_bytes += len(data)
        if self._header_bytes > self.limits.largest_headers:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "HeadersTooLarge", "the headers are too large")
        elif self._header_timer is None:
            self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._header_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        if self._running is not None and not self.cycle.response_complete:
            # Whoever waits for the model gives its place to another.
            self._running.cancel()

    # What the parser says.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_headers = True
        self._header_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_headers = False
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
            self._linger_timer = None

    def on_response_complete(self) -> None:
        incomplete = self.cycle.more_body and self.cycle.response_complete
        super().on_response_complete()
        if incomplete and not self.transport.is_closing():
            # Closing at once would reset the connection, and the answer might never be read.
            self._linger_timer = self.loop.call_later(self.limits.linger_seconds, self.transport.close)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # A queued request of a pipeline is not the parser's current one; only its task can be cancelled.
        self._running = self.loop.create_task(cycle.run_asgi(app))
        self._running.add_done_callback(self.tasks.discard)
        self.tasks.add(self._running)

    # Refusing without ASGI.

    def send_400_response(self, msg: str) -> None:
        self._refuse(HTTPStatus.BAD_REQUEST, "BadRequest", "this is not HTTP that can be understood")

    def _await_headers(self) -> None:
        self._header_timer = self.loop.call_later(self.limits.header_seconds, self._headers_too_slow)

    def _headers_too_slow(self) -> None:
        if self._header_bytes:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "HeaderTimeout", "the headers did not arrive in time")
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        if self.transport.is_closing():
            return
        body = json.dumps({"error": {"code": code, "message": message, "details": []}, "message": message}).encode()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()


def scoring_protocol(wanted: Limits) -> type[ScoringProtocol]:
    class LimitedScoringProtocol(ScoringProtocol):
        limits = wanted

    return LimitedScoringProtocol
