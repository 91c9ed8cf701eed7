"""Send the head and the body of an answer in one write: uvicorn makes two, which would wake the caller twice.

The head is validated once, as a whole, where uvicorn matches two patterns for each header.
"""

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    ASGISendEvent,
    HTTPResponseStartEvent,
    Scope,
)
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle


def whole_answers(app: ASGI3Application, cycle: RequestResponseCycle) -> ASGI3Application:
    """Wrap `app` for one request. Its answers have two messages and a content-length."""

    async def answer(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await app(scope, receive, _WholeAnswer(cycle))

    return answer


class _WholeAnswer:
    """Takes the place of `cycle.send`."""

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._start: HTTPResponseStartEvent | None = None

    async def __call__(self, message: ASGISendEvent) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body" and self._start is not None:
            await self._write(self._start, message["body"])
        else:
            raise RuntimeError(f"an answer has one start and one body message, not {message['type']!r}")

    async def _write(self, start: HTTPResponseStartEvent, body: bytes) -> None:
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            # A caller with a pipeline does not read its answers.
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        head = self._head(start)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(head if cycle.scope["method"] == "HEAD" else head + body)
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()

    def _head(self, start: HTTPResponseStartEvent) -> bytes:
        headers = [*self._cycle.default_headers, *start["headers"]]
        if not self._cycle.keep_alive:
            headers.append((b"connection", b"close"))
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        if not lines.count(b"\r") == lines.count(b"\n") == len(headers) or b"\0" in lines:
            raise RuntimeError(f"a header has a line break or a zero byte in its name or value: {headers}")
        return b"%b%b\r\n" % (STATUS_LINE[start["status"]], lines)
