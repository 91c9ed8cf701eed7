"""The HTTP connection: limits on slow senders and large headers, and callers that hang up, on top of uvicorn.

ASGI begins when the headers are complete, so an ASGI application cannot enforce most of these limits.
"""

import asyncio
import json
from http import HTTPStatus
from typing import Any, ClassVar

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from data_plane.gateway.whole_answers import whole_answers
from modelyard.core.settings import GatewaySettings

_HEADERS = "headers"
_BODY = "body"


class ScoringProtocol(HttpToolsProtocol):
    limits: ClassVar[GatewaySettings] = GatewaySettings()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: str | None = _HEADERS
        self._arrived = 0
        """Bytes of the arriving part."""
        self._part_began = self.loop.time()
        self._sender_timer: asyncio.TimerHandle | None = None
        self._running: asyncio.Task[None] | None = None
        self._is_shutting_down = False

    # From opening to closing.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_more()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(HTTPStatus.BAD_REQUEST, "BadRequest", "the request is not valid HTTP/1.1")
            return
        if self._arriving is None:
            return
        self._arrived += len(data)
        if self._arriving == _HEADERS and self._arrived > self.limits.max_header_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "HeadersTooLarge", "the headers are too large")
        elif self._sender_timer is None:
            self._part_began = self.loop.time()
            self._wait_for_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)
        if self._running is not None:
            # A request of a caller that hung up leaves the queue.
            self._running.cancel()

    def shutdown(self) -> None:
        """Close after the next answer. Closing at once would lose a request under way."""
        self._is_shutting_down = True
        if self._is_idle:
            self.loop.call_later(self.limits.idle_close_seconds, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._is_idle:
            self.transport.close()

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect(_HEADERS)

    def on_headers_complete(self) -> None:
        if self._has_upgrade_offer:
            return
        self._expect(_BODY)
        super().on_headers_complete()
        if self._is_shutting_down:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        if self._has_upgrade_offer:
            return
        self._expect(None)
        super().on_message_complete()

    # Upgrade offers (HTTP/2, websockets): Java's client sends an offer with each request. The parser takes all bytes
    # behind the offer, the body too, for the offered protocol. So the parser gets the head again, without the offer.

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                if self._has_upgrade_offer:
                    self.parser.feed_data(self._head_without_offer())
                data = memoryview(data)[offer.args[0] :]

    @property
    def _has_upgrade_offer(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _head_without_offer(self) -> bytes:
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        lines += [b"%b: %b" % (name, value) for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = self.loop.create_task(cycle.run_asgi(whole_answers(app, cycle)))
        self._running.add_done_callback(self.tasks.discard)
        self.tasks.add(self._running)

    # Slow senders. Most requests arrive in one piece and need no timer.

    def _expect(self, part: str | None) -> None:
        self._arriving = part
        self._arrived = 0
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._sender_timer is not None:
            self._sender_timer.cancel()
            self._sender_timer = None

    def _wait_for_more(self) -> None:
        remaining = self._part_began + self._allowed_seconds() - self.loop.time()
        self._sender_timer = self.loop.call_later(remaining, self._check_time)

    def _allowed_seconds(self) -> float:
        if self._arriving == _HEADERS:
            return self.limits.header_seconds
        if self.cycle.response_complete:
            # The rest of a refused body. Closing at once would reset the connection and might lose the answer.
            return self.limits.linger_seconds
        return self.limits.body_seconds + self._arrived / self.limits.min_body_bytes_per_second

    def _check_time(self) -> None:
        if self._is_answering_earlier_request or self.flow.read_paused:
            # The gateway is slow, not the sender.
            self._part_began = self.loop.time()
        if self.loop.time() < self._part_began + self._allowed_seconds():
            self._wait_for_more()
        elif self._arriving == _BODY and not self.cycle.response_started:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "BodyTimeout", "the body did not arrive in time")
        elif self._arriving == _HEADERS and self._arrived:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "HeaderTimeout", "the headers did not arrive in time")
        else:
            self.transport.close()

    # Errors without ASGI.

    @property
    def _is_answering_earlier_request(self) -> bool:
        """Whether the arriving bytes belong to a later request of a pipeline."""
        is_answering = self._running is not None and not self._running.done()
        return bool(self.pipeline) or (is_answering and self._arriving == _HEADERS)

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        if self.transport.is_closing():
            return
        if self._is_answering_earlier_request:
            # The earlier request is answered first, and last on the connection.
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        body = json.dumps({"error": {"code": code, "message": message, "details": []}, "message": message}).encode()
        head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()


def scoring_protocol(wanted: GatewaySettings) -> type[ScoringProtocol]:
    class LimitedScoringProtocol(ScoringProtocol):
        limits = wanted

    return LimitedScoringProtocol
