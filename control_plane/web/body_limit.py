"""The size limit of JSON bodies. A body over the limit is refused before it is read to its end."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control_plane.resources.blob_container import ACCOUNT_SEGMENT
from control_plane.web.error_response import platform_error_response
from modelyard.core.errors import PayloadTooLarge

_STREAMED = ("/uploads/", f"/{ACCOUNT_SEGMENT}/")


class BodyLimitMiddleware:
    def __init__(self, app: ASGIApp, largest: int) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_STREAMED):
            await self._app(scope, receive, send)
            return
        messages = await self._read(scope, receive)
        if messages is None:
            sentence = f"the body is larger than {self._largest} bytes: send files through startPendingUpload"
            await platform_error_response(PayloadTooLarge(sentence))(scope, receive, send)
            return
        await self._app(_as_json(scope), _replay(messages, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> list[Message] | None:
        """The complete body as messages. None: the body is over the limit."""
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._largest:
            return None
        messages, size, more = [], 0, True
        while more:
            message = await receive()
            messages.append(message)
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
            if size > self._largest:
                return None
        return messages


def _as_json(scope: Scope) -> Scope:
    """Every body is JSON, also when a simple client (curl -d) sends another content type."""
    scope = {**scope, "headers": list(scope["headers"])}
    MutableHeaders(scope=scope)["content-type"] = "application/json"
    return scope


def _replay(messages: list[Message], receive: Receive) -> Receive:
    async def next_message() -> Message:
        return messages.pop(0) if messages else await receive()

    return next_message
