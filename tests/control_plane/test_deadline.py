"""The deadline of a request: 503 in time, except for files and for responses under way."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from control_plane.dependencies import Dependencies
from control_plane.web.deadline import DeadlineMiddleware


async def never(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.Event().wait()


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0.6)
    await answer(send)


async def streamed(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.sleep(0.6)
    await send({"type": "http.response.body", "body": b"the end"})


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError("a fault of the application")


async def answer(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask(app: Any, path: str = "/models", seconds: float = 0.1) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def request() -> None:
        scope = {"type": "http", "method": "GET", "path": path, "headers": []}
        await DeadlineMiddleware(app, Dependencies(), seconds)(scope, asyncio.Event().wait, send)
        # The abandoned work is cancelled, and what it sends is dropped.
        await asyncio.sleep(0.05)

    asyncio.run(request())
    return sent


def test_request_over_its_time_gets_503_with_retry_after():
    start, body = ask(never)
    assert start["status"] == 503
    assert (b"retry-after", b"2") in start["headers"]
    assert b"took longer than 0.1 s" in body["body"]


def test_late_answer_of_an_abandoned_request_is_dropped():
    assert [message["type"] for message in ask(slow)] == ["http.response.start", "http.response.body"]


def test_request_within_its_time_gets_its_own_answer():
    assert ask(slow, seconds=30)[0]["status"] == 200


def test_response_under_way_is_sent_to_its_end():
    start, body = ask(streamed)
    assert (start["status"], body["body"]) == (200, b"the end")


def test_upload_takes_any_time():
    assert ask(slow, "/uploads/1/model")[0]["status"] == 200


def test_error_of_the_application_reaches_the_layer_above():
    with pytest.raises(ValueError, match="a fault of the application"):
        ask(failing)
