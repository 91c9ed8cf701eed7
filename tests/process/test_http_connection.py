"""Limits of a connection, on a small application: times, rates, framing, back pressure, and room for connections."""

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvloop

from modelyard.core.settings import HttpSettings
from modelyard.process.http_exchange import asgi_application
from modelyard.process.http_server import SupervisedServer, TlsPort
from tests.data_plane.gateway.raw_answers import read_answer
from tests.hostile_http import chunks, hosted

LARGE = 32 << 20
ABANDONED = threading.Event()
"""Set at the end of a request that the application never answers."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers by path; `/` answers the size of the body, and `/echo` the body."""
    path = scope["path"]
    start = {"type": "http.response.start", "status": 200, "headers": []}
    if path == "/length":
        start["headers"] = [(b"content-length", b"3")]
    if path == "/break":
        start["headers"] = [(b"x-break", b"a\r\nx: y")]
    if path == "/fail":
        raise ValueError(path)
    if path == "/hold":
        await asyncio.sleep(0.5)
    if path == "/refuse":
        await send(start)
        await send({"type": "http.response.body", "body": b"no"})
        return
    if path == "/nothing":
        return
    if path == "/scheme":
        start["headers"] = [(b"content-length", b"%d" % len(scope["scheme"]))]
        await send(start)
        await send({"type": "http.response.body", "body": scope["scheme"].encode()})
        return
    received, size, more = b"", 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message["body"]), message["more_body"]
        received += message["body"] if path == "/echo" else b""
    if received == b"hold":
        try:
            await asyncio.Event().wait()
        finally:
            ABANDONED.set()
    if path == "/stream":
        await send(start)
        for piece in (b"a", b"", b"bc"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    body = {"/large": bytes(LARGE), "/echo": received}.get(path, b"%d" % size)
    start["headers"] = start["headers"] or [(b"content-length", b"%d" % len(body))]
    await send(start)
    await send({"type": "http.response.body", "body": body})


class Server:
    def __init__(self, *, tls: TlsPort | None = None, **settings: Any) -> None:
        self._server = SupervisedServer(
            asgi_application(application),
            HttpSettings(shutdown_seconds=1, **settings),
            error=lambda code, message: json.dumps({"code": code, "message": message}).encode(),
            health=frozenset({"/health"}),
            cancel_abandoned=True,
            without_tasks=True,
        )
        if tls is not None:
            self._server.serve_tls(tls)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=lambda: uvloop.run(self._server.serve(sockets=[self._listener])))
        self._thread.start()

    @contextlib.contextmanager
    def connected(self, sent: bytes = b"") -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(sent)
            yield connection

    @property
    def protocol(self) -> Any:
        return self._server.config.http_protocol_class

    def ask(self, sent: bytes) -> tuple[int, bytes]:
        with self.connected(sent) as connection:
            answer = read_answer(connection)
            return answer.status, answer.body

    def close(self) -> None:
        self._server.stop()
        self._thread.join()
        self._listener.close()


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as closing:

        def start(**settings: Any) -> Server:
            server = Server(**settings)
            closing.callback(server.close)
            return server

        yield start


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def rest(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            received += piece
    return received


def code_of(received: bytes) -> tuple[int, str]:
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


class TestResponses:
    def test_response_without_a_length_is_chunked(self, server: Server) -> None:
        with server.connected(hosted(b"Connection: close", target=b"/stream")) as connection:
            assert rest(connection).partition(b"\r\n\r\n")[2] == b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"

    def test_response_without_a_length_ends_with_the_connection_in_http_1_0(self, server: Server) -> None:
        with server.connected(hosted(target=b"/stream", version=b"HTTP/1.0")) as connection:
            head, _, body = rest(connection).partition(b"\r\n\r\n")
            assert (body, b"transfer-encoding" in head) == (b"abc", False)

    @pytest.mark.parametrize("path", [b"/fail", b"/break", b"/length", b"/nothing"])
    def test_failure_of_the_application_is_a_500(self, server: Server, path: bytes) -> None:
        with server.connected(hosted(target=path)) as connection:
            assert code_of(rest(connection)) == (500, "InternalError")

    def test_caller_that_sends_a_large_refused_body_with_connection_close_sees_the_response(
        self, server: Server
    ) -> None:
        sent = hosted(b"Connection: close", b"Content-Length: %d" % LARGE, target=b"/refuse", method=b"POST")
        with server.connected(sent) as connection:
            connection.sendall(bytes(LARGE))
            assert rest(connection).startswith(b"HTTP/1.1 200")


class TestKnownHeads:
    """Heads that are not parsed again."""

    HEAD = hosted(b"Content-Length: 4", target=b"/echo", method=b"POST")

    def known(self, server: Server) -> Any:
        return server.protocol.known_heads

    def test_each_request_with_a_repeated_head_is_answered_by_its_own_body(self, server: Server) -> None:
        with server.connected() as connection:
            for body in (b"aaaa", b"bbbb", b"cccc", b"dddd", b"eeee"):
                connection.sendall(self.HEAD + body)
                assert read_answer(connection).body == body
        assert self.HEAD in self.known(server)

    @pytest.mark.parametrize(
        "pieces",
        [
            (HEAD[:20], HEAD[20:] + b"aaaa"),
            (HEAD, b"aaaa"),
            (HEAD + b"a", b"aaa"),
            (HEAD + b"aaaa" + HEAD + b"bbbb",),
            (HEAD + b"aaaa" + HEAD[:-2], b"\r\nbbbb"),
            (b"\r\n" + HEAD + b"aaaa",),
        ],
        ids=["head cut", "head apart", "body cut", "pipeline", "pipeline cut", "empty line before"],
    )
    def test_known_head_in_other_pieces_is_read_by_the_parser(self, server: Server, pieces: tuple[bytes, ...]) -> None:
        with server.connected() as connection:
            for body in (b"1111", b"2222", b"3333"):
                connection.sendall(self.HEAD + body)
                assert read_answer(connection).body == body
            for piece in pieces:
                connection.sendall(piece)
                # Otherwise the server reads the pieces at once.
                time.sleep(0.01)
            connection.sendall(hosted(b"Connection: close", b"Content-Length: 4", target=b"/echo", method=b"POST"))
            connection.sendall(b"last")
            bodies = re.findall(rb"\r\n\r\n(\w{4})", rest(connection))
        assert bodies == [b"aaaa", b"bbbb", b"last"] if b"bbbb" in b"".join(pieces) else [b"aaaa", b"last"]

    def test_request_of_a_caller_that_hangs_up_is_cancelled(self, server: Server) -> None:
        with server.connected() as connection:
            for body in (b"1111", b"2222", b"3333"):
                connection.sendall(self.HEAD + body)
                assert read_answer(connection).body == body
            connection.sendall(self.HEAD + b"hold")
        assert ABANDONED.wait(20)

    def test_heads_that_do_not_come_twice_are_not_kept(self, server: Server) -> None:
        with server.connected() as connection:
            for number in range(5):
                connection.sendall(hosted(b"X-Id: %d" % number))
                read_answer(connection)
        assert not [head for head in self.known(server) if b"X-Id" in head]

    def test_chunked_expecting_and_long_heads_are_not_kept(self, server: Server) -> None:
        before = dict(self.known(server))
        chunked = chunks(b"4\r\nabcd\r\n0\r\n\r\n")
        expecting = hosted(b"Expect: 100-continue", b"Content-Length: 1", method=b"POST") + b"x"
        long = hosted(b"X-Long: " + b"x" * 3000)
        with server.connected() as connection:
            for sent in (chunked, expecting, long):
                for _ in range(4):
                    connection.sendall(sent)
                    assert read_answer(connection).status == 200
        assert self.known(server) == before

    def test_number_of_known_heads_is_bounded(self, server: Server) -> None:
        with server.connected() as connection:
            for number in range(520):
                for _ in range(2):
                    connection.sendall(hosted(b"X-Number: %d" % number))
                    read_answer(connection)
        assert 0 < len(self.known(server)) <= 512


class TestTimes:
    def test_body_that_stalls_after_a_fast_beginning_is_a_408(self, serve: Serve) -> None:
        server = serve(body_seconds=0.2, min_body_bytes_per_second=10_000)
        with server.connected(hosted(b"Content-Length: 99999999", method=b"POST") + bytes(1 << 20)) as connection:
            assert code_of(rest(connection)) == (408, "BodyTimeout")

    def test_body_at_the_least_rate_is_read_to_its_end(self, serve: Serve) -> None:
        server = serve(body_seconds=0.2, min_body_bytes_per_second=10_000)
        with server.connected(hosted(b"Content-Length: 80000", method=b"POST")) as connection:
            for _ in range(8):
                connection.sendall(bytes(10_000))
                time.sleep(0.1)
            assert read_answer(connection).body == b"80000"

    def test_caller_that_reads_no_response_is_cut(self, serve: Serve) -> None:
        server = serve(body_seconds=0.2)
        with server.connected(hosted(b"Connection: close", target=b"/large")) as connection:
            # Longer than the interval, and the kernel's buffers hold a part of the response only.
            time.sleep(1.0)
            assert len(rest(connection)) < LARGE

    def test_caller_that_reads_slowly_but_steadily_gets_the_whole_response(self, serve: Serve) -> None:
        server = serve(body_seconds=0.5)
        with server.connected(hosted(b"Connection: close", target=b"/large")) as connection:
            received = 0
            while piece := connection.recv(1 << 20):
                received += len(piece)
                time.sleep(0.02)
            assert received > LARGE

    def test_idle_connection_is_closed_after_the_keep_alive(self, serve: Serve) -> None:
        server = serve(keep_alive_seconds=0.3)
        with server.connected(hosted()) as connection:
            assert read_answer(connection).status == 200
            assert rest(connection) == b""

    def test_sender_that_never_ends_after_a_refusal_is_cut(self, serve: Serve) -> None:
        server = serve(linger_seconds=0.2)

        def send_without_end(connection: socket.socket) -> None:
            while True:
                connection.sendall(bytes(1 << 16))

        with server.connected(b"nonsense\r\n") as connection, pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_without_end(connection)


class TestFraming:
    @pytest.mark.parametrize("endless", [b"0\r\nX: ", b"1;", b"0\r\nX: y\r\nZ"])
    def test_endless_trailers_and_extensions_are_a_400(self, server: Server, endless: bytes) -> None:
        with server.connected(chunks(b"1\r\na\r\n")) as connection:
            time.sleep(0.05)
            # Errors are expected once the server has closed.
            with contextlib.suppress(OSError):
                connection.sendall(endless)
                for _ in range(64):
                    connection.sendall(b"y" * (1 << 14))
            assert code_of(rest(connection)) == (400, "BadRequest")

    def test_large_body_buys_no_endless_trailer(self, server: Server) -> None:
        with server.connected(chunks(b"%x\r\n" % (4 << 20), bytes(4 << 20), b"\r\n0\r\nX: ")) as connection:
            with contextlib.suppress(OSError):
                for _ in range(64):
                    connection.sendall(b"y" * (1 << 14))
            assert code_of(rest(connection)) == (400, "BadRequest")

    def test_pipeline_of_many_requests_is_answered_up_to_the_limit(self, server: Server) -> None:
        with server.connected(hosted() * 1_000) as connection:
            received = rest(connection)
        assert 128 <= received.count(b"HTTP/1.1 200") <= 130
        assert received.count(b"HTTP/1.1") == received.count(b"HTTP/1.1 200")

    def test_large_pipeline_with_an_unfinished_head_is_no_431(self, serve: Serve) -> None:
        server = serve(max_header_bytes=2_000)
        requests = hosted() * 100
        with server.connected(requests + requests[:10]) as connection:
            time.sleep(0.2)
            connection.sendall(hosted(b"Connection: close")[10:])
            assert rest(connection).count(b"HTTP/1.1 200") == 101


class TestManyConnections:
    def test_longest_idle_connection_makes_room(self, serve: Serve) -> None:
        server = serve(max_connections=3)
        with server.connected() as oldest, server.connected() as second, server.connected() as third:
            for connection in (oldest, second, third, oldest):
                connection.sendall(hosted())
                assert read_answer(connection).status == 200
                # The event loop's clock counts milliseconds.
                time.sleep(0.01)
            # Now the second is idle for the longest time.
            assert server.ask(hosted()) == (200, b"0")
            assert rest(second) == b""
            for connection in (oldest, third):
                connection.sendall(hosted())
                assert read_answer(connection).status == 200

    def test_connections_with_a_request_stay_and_a_further_one_serves_health_alone(self, serve: Serve) -> None:
        server = serve(max_connections=2)
        busy = hosted(b"Content-Length: 2", method=b"POST") + b"a"
        with server.connected(busy) as first, server.connected(busy) as second:
            time.sleep(0.1)
            assert server.ask(hosted(target=b"/other"))[0] == 503
            assert server.ask(hosted(target=b"/health"))[0] == 200
            for connection in (first, second):
                connection.sendall(b"b")
                assert read_answer(connection).body == b"2"

    def test_connections_kept_for_health_are_few(self, serve: Serve) -> None:
        server = serve(max_connections=1)
        with contextlib.ExitStack() as held:
            held.enter_context(server.connected(hosted(b"Content-Length: 2", method=b"POST") + b"a"))
            time.sleep(0.1)
            for _ in range(16):
                held.enter_context(server.connected())
            with server.connected() as beyond:
                assert code_of(rest(beyond)) == (503, "TooManyConnections")


def test_stop_answers_the_request_under_way_and_ends() -> None:
    server = Server()
    with server.connected(hosted(target=b"/hold")) as connection:
        time.sleep(0.1)
        server.close()
        answer = read_answer(connection)
        assert (answer.status, answer.is_last) == (200, True)
