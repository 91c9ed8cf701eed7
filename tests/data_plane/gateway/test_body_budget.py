"""Bodies of many requests at a time: what a gateway reads, decompresses and refuses."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from data_plane.gateway.body_budget import BodyBudget
from data_plane.gateway.errors import BodiesFull
from tests.data_plane.gateway.gateway_process import KEY, GatewayProcess
from tests.data_plane.gateway.raw_answers import read_answer
from tests.data_plane.gateway.test_workers import HELD, wait_for

MEBIBYTE = 1 << 20
SETTINGS = {
    "MODELYARD_GATEWAY_MAX_BODY_BYTES": str(16 * MEBIBYTE),
    "MODELYARD_GATEWAY_MAX_PENDING_BODY_BYTES": str(32 * MEBIBYTE),
}
COUNT = """
    def init():
        pass

    def run(input_data, params=None):
        return len(input_data)
"""
HEAD = f"POST /wines/score HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"


@pytest.fixture
def gateway(start_gateway: Callable[..., GatewayProcess]) -> GatewayProcess:
    gateway = start_gateway(settings=SETTINGS)
    gateway.serve(COUNT)
    return gateway


def bombard(gateway: GatewayProcess, coding: str, bomb: bytes) -> tuple[Counter[int], int]:
    """Send 20 bombs at once, with ordinary requests beside. Returns the bombs' statuses, and the growth in bytes."""
    process = psutil.Process(gateway.process.pid)
    assert gateway.score([1, 2, 3]).json == 3
    before = process.memory_info().rss
    with ThreadPoolExecutor(20) as threads:
        bombs = [
            threads.submit(gateway.request, "POST", "/wines/score", bomb, {"Content-Encoding": coding})
            for _ in range(20)
        ]
        most = before
        while not all(sent.done() for sent in bombs):
            assert gateway.score([1, 2, 3]).json == 3
            most = max(most, process.memory_info().rss)
    return Counter(sent.result().status for sent in bombs), most - before


def test_gzip_bombs_in_three_layers_are_refused_unread(gateway: GatewayProcess) -> None:
    bomb = gzip.compress(gzip.compress(gzip.compress(bytes(100 * MEBIBYTE), 9), 9), 9)
    assert len(bomb) < 500
    statuses, growth = bombard(gateway, "gzip, gzip, gzip", bomb)
    assert statuses == {415: 20}
    assert growth < 16 * MEBIBYTE


def test_gzip_bombs_of_the_largest_size_stay_within_the_budget(gateway: GatewayProcess) -> None:
    statuses, growth = bombard(gateway, "gzip", gzip.compress(b"[" + b" " * (15 * MEBIBYTE)))
    # Invalid JSON, or no room: never more than the budget and a few copies of what is being parsed.
    assert set(statuses) <= {400, 503}
    assert growth < 128 * MEBIBYTE


def test_bodies_beyond_the_budget_are_a_503_until_there_is_room(gateway: GatewayProcess) -> None:
    body = json.dumps({"input_data": "x" * (12 * MEBIBYTE)}).encode()
    head = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode()
    with ExitStack() as held:
        slow = [held.enter_context(gateway.raw()) for _ in range(2)]
        for connection in slow:
            connection.sendall(head + body[:-1])
        # The gateway reads the two bodies while further requests go on.
        refused = gateway.request("POST", "/wines/score", body)
        while refused.status == 200:
            refused = gateway.request("POST", "/wines/score", body)
        assert (refused.status, refused.error["code"]) == (503, "BodiesFull")
        assert refused.headers["retry-after"] == "1"
        assert gateway.score([1, 2, 3]).json == 3
        for connection in slow:
            connection.sendall(body[-1:])
            assert read_answer(connection).status == 200
    assert gateway.request("POST", "/wines/score", body).status == 200


def test_announced_length_alone_takes_no_room(gateway: GatewayProcess) -> None:
    with ExitStack() as held:
        for _ in range(20):
            connection = held.enter_context(gateway.raw())
            connection.sendall(f"{HEAD}Content-Length: {16 * MEBIBYTE}\r\n\r\n[".encode())
        body = json.dumps({"input_data": "x" * (12 * MEBIBYTE)})
        assert gateway.request("POST", "/wines/score", body).status == 200


def test_full_queue_refuses_a_large_body_before_it_is_sent(
    start_gateway: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    gateway = start_gateway()
    gateway.serve(HELD, max_concurrent_requests_per_instance=1)
    with ThreadPoolExecutor(2) as threads:
        held = [threads.submit(gateway.score, str(tmp_path / "first"))]
        wait_for(tmp_path / "first")
        held.append(threads.submit(gateway.score, str(tmp_path / "second")))
        while gateway.pending() < 2:
            pass
        with gateway.raw() as connection:
            connection.sendall(f"{HEAD}Content-Length: {16 * MEBIBYTE}\r\nExpect: 100-continue\r\n\r\n".encode())
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 429")
        (tmp_path / "first").unlink()
        wait_for(tmp_path / "second").unlink()
        assert [each.result().status for each in held] == [200, 200]


def test_budget_is_given_back_at_the_end_of_a_request() -> None:
    budget = BodyBudget(10)
    with budget.share() as first:
        first.take(6)
        with budget.share() as second:
            second.take(4)
            with pytest.raises(BodiesFull):
                second.take(1)
        first.take(4)
    with budget.share() as third:
        third.take(10)


def test_threads_and_the_event_loop_share_one_limit() -> None:
    budget = BodyBudget(10)
    with budget.share() as share:
        share.take(6)
        share.take_in_thread(4)
        with pytest.raises(BodiesFull):
            share.take_in_thread(1)
        with pytest.raises(BodiesFull):
            share.take(1)
    with budget.share() as next_one:
        next_one.take(10)


def test_thread_that_outlives_its_request_takes_nothing() -> None:
    budget = BodyBudget(10)
    with budget.share() as share:
        share.take_in_thread(4)
    with pytest.raises(BodiesFull):
        share.take_in_thread(1)
    with budget.share() as next_one:
        next_one.take_in_thread(10)
