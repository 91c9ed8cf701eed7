"""Slow senders, large requests, and the end of the process."""

import contextlib
import json
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from modelyard.core.settings import GatewaySettings
from tests.data_plane.gateway.conftest import gateways
from tests.data_plane.gateway.gateway_process import KEY, GatewayProcess, reply
from tests.data_plane.gateway.test_workers import HELD, wait_for
from tests.data_plane.replicas.worker_harness import PATIENCE

COUNT = """
    def init():
        pass

    def run(input_data, params=None):
        return len(input_data)
"""
HEAD = (
    f"POST /wines/score HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
).encode()
BODY = b'{"input_data": [1, 2, 3]}'
REQUEST = HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY

StartGateway = Callable[..., GatewayProcess]


def answer(connection: socket.socket) -> bytes:
    """Return all bytes until the gateway closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(1 << 16):
            received += chunk
    return received


def error_of(received: bytes) -> tuple[int, str]:
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["code"]


class TestSlowSenders:
    SETTINGS: ClassVar = {"MODELYARD_GATEWAY_HEADER_SECONDS": "0.3", "MODELYARD_GATEWAY_BODY_SECONDS": "0.3"}

    @pytest.fixture
    def gateway(self, start_gateway: StartGateway) -> GatewayProcess:
        gateway = start_gateway(settings=self.SETTINGS)
        gateway.serve(COUNT)
        return gateway

    def test_unfinished_headers_are_a_timeout(self, gateway: GatewayProcess) -> None:
        with gateway.raw() as connection:
            connection.sendall(HEAD)
            assert error_of(answer(connection)) == (408, "HeaderTimeout")

    def test_connection_without_a_request_is_closed(self, gateway: GatewayProcess) -> None:
        with gateway.raw() as connection:
            assert answer(connection) == b""

    def test_slow_headers_of_a_later_request_are_cut(self, gateway: GatewayProcess) -> None:
        with gateway.raw() as connection:
            connection.sendall(REQUEST)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
            connection.sendall(HEAD)
            assert b"HeaderTimeout" in answer(connection)

    def test_unfinished_body_is_a_timeout(self, gateway: GatewayProcess) -> None:
        with gateway.raw() as connection:
            connection.sendall(REQUEST[:-5])
            assert error_of(answer(connection)) == (408, "BodyTimeout")

    def test_slow_sender_does_not_delay_other_callers(self, gateway: GatewayProcess) -> None:
        with contextlib.ExitStack() as slow:
            for _ in range(50):
                slow.enter_context(gateway.raw()).sendall(HEAD[:40])
            assert gateway.score([1]).json == 1

    def test_an_idle_connection_stays_open_for_the_next_request(self, gateway: GatewayProcess) -> None:
        with gateway.raw() as connection, gateway.raw() as slower:
            connection.sendall(REQUEST)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
            # By the end of the slow connection, an idle connection with the same limit would be closed, too.
            answer(slower)
            connection.sendall(REQUEST)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")

    def test_the_headers_of_a_further_request_do_not_cut_the_answer_to_the_first(
        self, gateway: GatewayProcess, tmp_path: Path
    ) -> None:
        gateway.serve(HELD, name="held")
        body = json.dumps({"input_data": str(tmp_path / "held")}).encode()
        with gateway.raw() as connection, gateway.raw() as slower:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body + HEAD)
            wait_for(tmp_path / "held")
            # By the end of the slow connection, the headers of the further request are late, too.
            assert answer(slower) == b""
            (tmp_path / "held").unlink()
            received = answer(connection)
        assert received.startswith(b"HTTP/1.1 200")
        assert b"HeaderTimeout" in received

    def test_invalid_http_does_not_cut_the_answer_to_the_first_request(
        self, gateway: GatewayProcess, tmp_path: Path
    ) -> None:
        gateway.serve(HELD, name="held")
        body = json.dumps({"input_data": str(tmp_path / "held")}).encode()
        with gateway.raw() as connection:
            connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body + b"\x16\x03\x01\x02")
            wait_for(tmp_path / "held").unlink()
            received = answer(connection)
        assert received.startswith(b"HTTP/1.1 200")
        assert received.count(b"HTTP/1.1") == 1

    def test_a_request_in_pieces_is_answered(self, gateway: GatewayProcess) -> None:
        with gateway.raw() as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(REQUEST), 7):
                connection.sendall(REQUEST[start : start + 7])
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")


class TestLargeRequests:
    @pytest.fixture(scope="class")
    @classmethod
    def gateway(cls) -> Iterator[GatewayProcess]:
        with gateways() as start:
            gateway = start(settings={"MODELYARD_GATEWAY_MAX_BODY_BYTES": "1000"})
            gateway.serve(COUNT)
            yield gateway

    def test_a_body_over_the_limit_is_a_413(self, gateway: GatewayProcess) -> None:
        refused = gateway.score("x" * 1000)
        assert (refused.status, refused.error["code"]) == (413, "PayloadTooLarge")
        assert "1000 bytes" in refused.error["message"]
        assert gateway.score("x" * 900).status == 200

    def test_announced_body_over_the_limit_is_refused_before_it_is_sent(self, gateway: GatewayProcess) -> None:
        with gateway.raw() as connection:
            connection.sendall(HEAD + b"Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413")

    def test_chunked_body_over_the_limit_is_refused_while_it_arrives(self, gateway: GatewayProcess) -> None:
        with gateway.raw() as connection:
            connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
            connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 413")

    def test_caller_that_sends_the_whole_large_body_first_sees_the_413(self, gateway: GatewayProcess) -> None:
        body = json.dumps({"input_data": "x" * 20_000_000})
        assert gateway.request("POST", "/wines/score", body).status == 413

    def test_the_connection_can_be_used_again_when_the_body_was_sent(self, gateway: GatewayProcess) -> None:
        with contextlib.closing(gateway.connection()) as connection:
            headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
            connection.request("POST", "/wines/score", "x" * 5000, headers)
            assert reply(connection).status == 413
            connection.request("POST", "/wines/score", BODY, headers)
            assert reply(connection).json == 3

    def test_endless_headers_are_a_431(self, gateway: GatewayProcess) -> None:
        too_much = GatewaySettings().max_header_bytes + 1
        with gateway.raw() as connection:
            connection.sendall((HEAD + b"X-More: ").ljust(too_much, b"y"))
            assert error_of(answer(connection)) == (431, "HeadersTooLarge")

    @pytest.mark.parametrize(
        "garbage", [b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"POST /wines/score HTTP/9.9\r\n\r\n"]
    )
    def test_invalid_http_is_a_400(self, gateway: GatewayProcess, garbage: bytes) -> None:
        with gateway.raw() as connection:
            connection.sendall(garbage)
            assert error_of(answer(connection)) == (400, "BadRequest")


class TestStop:
    def test_stopping_gateway_answers_requests_under_way_and_ends(
        self, gateway: GatewayProcess, tmp_path: Path
    ) -> None:
        gateway.serve(HELD)
        with ThreadPoolExecutor(1) as threads:
            held = threads.submit(gateway.score, str(tmp_path / "held"))
            wait_for(tmp_path / "held")
            gateway.process.send_signal(signal.SIGTERM)
            (tmp_path / "held").unlink()
            assert held.result().status == 200
        assert gateway.process.wait(PATIENCE) == 0

    def test_request_unanswered_at_the_end_of_the_grace_is_a_503(
        self, start_gateway: StartGateway, tmp_path: Path
    ) -> None:
        gateway = start_gateway(settings={"MODELYARD_GATEWAY_SHUTDOWN_SECONDS": "1"})
        gateway.serve(HELD)
        question = json.dumps({"input_data": str(tmp_path / "held")})
        with ThreadPoolExecutor(1) as threads:
            held = threads.submit(gateway.request, "POST", "/wines/score", question)
            wait_for(tmp_path / "held")
            gateway.process.send_signal(signal.SIGTERM)
            refused = held.result()
        assert (refused.status, refused.error["code"]) == (503, "GatewayStops")
        assert refused.headers["retry-after"] == "1"
        assert gateway.process.wait(PATIENCE) == 0
        assert b"Traceback" not in gateway.log.read_bytes()

    def test_stopping_gateway_answers_once_more_on_an_idle_connection_with_connection_close(
        self, gateway: GatewayProcess
    ) -> None:
        gateway.serve(COUNT)
        with contextlib.closing(gateway.connection()) as connection:
            headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
            connection.request("POST", "/wines/score", BODY, headers)
            assert reply(connection).status == 200
            gateway.process.send_signal(signal.SIGTERM)
            is_last = False
            while not is_last:
                connection.request("POST", "/wines/score", BODY, headers)
                last = reply(connection)
                assert (last.status, last.json) == (200, 3)
                is_last = last.headers.get("connection") == "close"
        assert gateway.process.wait(PATIENCE) == 0

    def test_stopping_gateway_closes_idle_connections_soon(self, gateway: GatewayProcess) -> None:
        gateway.serve(COUNT)
        with gateway.raw() as connection:
            connection.sendall(REQUEST)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
            gateway.process.send_signal(signal.SIGTERM)
            assert connection.recv(1) == b""
            assert gateway.process.wait(PATIENCE) == 0

    def test_gateway_ends_when_its_lifeline_closes(self, gateway: GatewayProcess) -> None:
        gateway.serve(COUNT)
        with gateway.raw():
            gateway.drop_lifeline()
            assert gateway.process.wait(PATIENCE) == 0

    def test_connections_made_between_two_gateways_are_served_by_the_next(self, start_gateway: StartGateway) -> None:
        first: Any = start_gateway()
        first.serve(COUNT)
        with first.raw() as connection:
            connection.sendall(REQUEST)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(PATIENCE) == 0
        with first.raw() as connection:
            connection.sendall(REQUEST)
            first.restart()
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
