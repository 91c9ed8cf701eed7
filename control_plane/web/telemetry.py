"""Counts and logs every request of the control plane: method, path template, status, duration and bytes."""

import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelyard.telemetry.access_log import UNMATCHED, AccessLog, AccessRecord
from modelyard.telemetry.metrics import Registry

_TEMPLATE = "modelyard.path_template"
_NO_RESPONSE = 499
"""The status of a request whose client left before the response, as nginx logs it."""


class RequestTelemetry:
    def __init__(self, registry: Registry, log: AccessLog) -> None:
        self.registry = registry
        labels = ("method", "path", "status")
        self._requests = registry.counter(
            "control_plane_requests", "Requests to the control plane", unit="requests", labels=labels
        )
        self._durations = registry.histogram(
            "control_plane_request_duration", "Time from request to end of response", unit="seconds", labels=("path",)
        )
        self._log = log

    def record(self, record: AccessRecord) -> None:
        self._requests.series(record.method, record.path_template, str(record.status)).add()
        self._durations.series(record.path_template).observe(record.duration_seconds)
        self._log.write(record)

    def close(self) -> None:
        self._log.close()


class TelemetryMiddleware:
    """The outermost layer: sees every response, also those of the layers that refuse a request."""

    def __init__(self, app: ASGIApp, telemetry: RequestTelemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope["method"], receive, send)
        try:
            await self._app({**scope, _TEMPLATE: exchange.matched}, exchange.receive, exchange.send)
        finally:
            self._telemetry.record(exchange.to_record())


class PathTemplateMiddleware:
    """The innermost layer: hands the template of the route that took the request to `TelemetryMiddleware`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            if "route" in scope:
                scope[_TEMPLATE].append(scope["route"].path)


class _Exchange:
    """One request and its response, measured while both pass through."""

    def __init__(self, method: str, receive: Receive, send: Send) -> None:
        self.matched: list[str] = []
        self._method = method
        self._receive = receive
        self._send = send
        self._started_at = time.time()
        self._began = time.perf_counter()
        self._status = _NO_RESPONSE
        self._request_bytes = 0
        self._response_bytes = 0
        self._request_id = ""

    async def receive(self) -> Message:
        message = await self._receive()
        self._request_bytes += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._request_id = Headers(raw=message["headers"]).get("x-ms-request-id", "")
        else:
            self._response_bytes += len(message.get("body", b""))
        await self._send(message)

    def to_record(self) -> AccessRecord:
        return AccessRecord(
            started_at=self._started_at,
            method=self._method,
            path_template=self.matched[0] if self.matched else UNMATCHED,
            status=self._status,
            duration_seconds=time.perf_counter() - self._began,
            request_bytes=self._request_bytes,
            response_bytes=self._response_bytes,
            request_id=self._request_id,
        )
