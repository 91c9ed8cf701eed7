"""The Blob service's form of answers: errors are XML with x-ms-error-code, and the client's ids come back.

The layers and routes within answer the canonical JSON error; this layer writes it anew for the Blob routes.
"""

import json
import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane.resources.blob_container import is_blob_path
from control_plane.resources.xml_text import xml_text

_VERSION = "2023-01-03"
_ECHOED = {"x-ms-client-request-id": re.compile(r"[\x20-\x7e]{1,1024}"), "x-ms-version": re.compile(r"[\w-]{1,20}")}
_CODES = {
    "AuthorizationFailed": "AuthorizationPermissionMismatch",
    "BadArgument": "InvalidInput",
    "InvalidRequestContent": "InvalidInput",
    "MethodNotAllowed": "UnsupportedHttpVerb",
    "ObjectStoreFull": "InsufficientStorage",
    "ObjectStoreRefused": "ServerBusy",
    "ObjectStoreUnavailable": "ServerBusy",
    "InternalServerError": "InternalError",
    "PayloadTooLarge": "RequestBodyTooLarge",
    "RequestLimitExceeded": "ServerBusy",
    "ServiceUnavailable": "ServerBusy",
    "TooManyRequests": "ServerBusy",
    "TooManyUploads": "ServerBusy",
    "Unauthorized": "NoAuthenticationInformation",
    "UploadUrlExpired": "AuthenticationFailed",
}
"""By the platform's code."""
_BUSY = frozenset({429, 503})
"""Clients of the Blob service repeat a request after 503."""
_NOT_MODIFIED = 304
_DROPPED = ("content-length", "content-type", "transfer-encoding")


class BlobProtocolMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and is_blob_path(scope["path"]):
            answer = _Answer(scope, receive, send)
            await self._app(scope, receive, answer.send)
        else:
            await self._app(scope, receive, send)


class _Answer:
    """One answer: passes unless it is an error, whose short body is collected first."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._error: Message | None = None
        self._body: list[bytes] = []
        self._headers = _protocol_headers(Headers(scope=scope))

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(self._headers)
            status = message["status"]
            if status == _NOT_MODIFIED or status >= 400:
                self._error = message
                return
        elif self._error is not None:
            self._body.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._send_error(self._error, b"".join(self._body))
            return
        await self._send(message)

    async def _send_error(self, start: Message, body: bytes) -> None:
        code, sentence = _error_in(body)
        status = 503 if start["status"] in _BUSY else start["status"]
        kept = {name: value for name, value in Headers(raw=start["headers"]).items() if name not in _DROPPED}
        has_body = self._scope["method"] != "HEAD" and status != _NOT_MODIFIED
        headers = {**kept, "x-ms-error-code": code, **({"Content-Type": "application/xml"} if has_body else {})}
        response = Response(_document(code, sentence) if has_body else b"", status, headers)
        await response(self._scope, self._receive, self._send)


def _protocol_headers(request: Headers) -> Mapping[str, str]:
    found = {"x-ms-version": _VERSION}
    for name, form in _ECHOED.items():
        value = request.get(name, "")
        if form.fullmatch(value):
            found[name] = value
    return found


def _error_in(body: bytes) -> tuple[str, str]:
    try:
        error = json.loads(body)["error"]
        code, sentence = str(error["code"]), str(error["message"])
    except (KeyError, TypeError, ValueError):
        return "InternalError", "the request failed"
    return _CODES.get(code, code), sentence


def _document(code: str, sentence: str) -> bytes:
    error = f"<Error><Code>{escape(code)}</Code><Message>{escape(xml_text(sentence))}</Message></Error>"
    return f'<?xml version="1.0" encoding="utf-8"?>{error}'.encode()
