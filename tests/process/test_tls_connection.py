"""A port over TLS with the real HTTP connection: handshakes that do not end, and what TLS does to times and buffers."""

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelyard.core.data_dir import DataDir
from modelyard.process.http_server import TlsPort
from modelyard.process.tls_context import server_context
from modelyard.supervisor.certificates import make_certificates
from tests.data_plane.gateway.raw_answers import read_answer
from tests.hostile_http import BAD_REQUESTS, hosted
from tests.process.test_http_connection import LARGE, Server, code_of, rest

_RESET = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataDir:
    """A data dir with the certificates for localhost."""
    data = DataDir(tmp_path_factory.mktemp("tls"))
    for folder in (data.secrets, data.tls):
        folder.mkdir()
    make_certificates(data, ["localhost", "127.0.0.1"], now=datetime.now(UTC))
    return data


def client_context(authority: Path) -> ssl.SSLContext:
    """Checks certificates as strictly as the newest Python does."""
    context = ssl.create_default_context(cafile=str(authority))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


class TlsServer(Server):
    """A server whose clients, but for `plain`, speak TLS."""

    def __init__(self, data: DataDir, *, handshake_seconds: float = 10.0, **settings: Any) -> None:
        self._context = client_context(data.tls_authority)
        listener = socket.create_server(("127.0.0.1", 0))
        self.tls_port: int = listener.getsockname()[1]
        port = TlsPort(listener, server_context(data.tls_certificate, data.tls_key), handshake_seconds)
        super().__init__(tls=port, **settings)

    def plain(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.tls_port), timeout=20)

    @contextlib.contextmanager
    def connected(self, sent: bytes = b"", context: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
        context = context or self._context
        with self.plain() as plain, context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(sent)
            yield connection

    def connections(self) -> list[Any]:
        return list(self._server.server_state.connections)


Serve = Callable[..., TlsServer]


@pytest.fixture
def serve(data: DataDir) -> Iterator[Serve]:
    with contextlib.ExitStack() as closing:

        def start(**settings: Any) -> TlsServer:
            server = TlsServer(data, **settings)
            closing.callback(server.close)
            return server

        yield start


@pytest.fixture(scope="module")
def server(data: DataDir) -> Iterator[TlsServer]:
    server = TlsServer(data)
    yield server
    server.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_cut(connection: socket.socket) -> bool:
    """Whether the server ends the connection without a byte of HTTP."""
    return b"HTTP" not in rest(connection)


class TestRequests:
    def test_application_sees_https_on_this_port_and_http_on_the_other(self, server: TlsServer) -> None:
        assert server.ask(hosted(target=b"/scheme")) == (200, b"https")
        assert Server.ask(_Plain(server), hosted(target=b"/scheme")) == (200, b"http")

    def test_connection_serves_many_requests_and_pipelines(self, server: TlsServer) -> None:
        with server.connected() as connection:
            for body in (b"aaaa", b"bbbb", b"cccc", b"dddd"):
                connection.sendall(hosted(b"Content-Length: 4", target=b"/echo", method=b"POST") + body)
                assert read_answer(connection).body == body
            connection.sendall(hosted() * 20 + hosted(b"Connection: close"))
            assert rest(connection).count(b"HTTP/1.1 200") == 21

    def test_large_bodies_arrive_whole_both_ways(self, server: TlsServer) -> None:
        sent = bytes(range(256)) * (8 << 12)
        head = hosted(b"Content-Length: %d" % len(sent), target=b"/echo", method=b"POST")
        with server.connected(head + sent) as connection:
            assert read_answer(connection).body == sent

    def test_response_without_a_length_ends_with_the_connection_in_http_1_0(self, server: TlsServer) -> None:
        with server.connected(hosted(target=b"/stream", version=b"HTTP/1.0")) as connection:
            assert rest(connection).partition(b"\r\n\r\n")[2] == b"abc"

    def test_sender_of_a_large_refused_body_sees_the_response(self, server: TlsServer) -> None:
        sent = hosted(b"Connection: close", b"Content-Length: %d" % LARGE, target=b"/refuse", method=b"POST")
        with server.connected(sent) as connection:
            connection.sendall(bytes(LARGE))
            assert rest(connection).startswith(b"HTTP/1.1 200")

    def test_malformed_requests_are_refused_as_on_the_plain_port(self, server: TlsServer) -> None:
        for name, sent in BAD_REQUESTS.items():
            with server.connected(sent) as connection:
                assert code_of(rest(connection)) == (400, "BadRequest"), name


class _Plain:
    """The plain port of a TlsServer."""

    def __init__(self, server: TlsServer) -> None:
        self.port = server.port

    def connected(self, sent: bytes) -> contextlib.AbstractContextManager[socket.socket]:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(sent)
        return connection


class TestHandshakes:
    @pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01", b"\x16"], ids=["nothing", "part", "a byte"])
    def test_handshake_that_never_ends_is_cut(self, serve: Serve, sent: bytes) -> None:
        server = serve(handshake_seconds=0.3)
        with server.plain() as connection:
            connection.sendall(sent)
            assert is_cut(connection)
        assert server.ask(hosted()) == (200, b"0")

    def test_plain_http_is_told_to_use_https(self, server: TlsServer) -> None:
        for sent in (hosted(), hosted(b"Content-Length: 9", method=b"POST") + b"x"):
            with server.plain() as connection:
                connection.sendall(sent)
                assert code_of(rest(connection)) == (400, "PlainHttp")
        assert server.ask(hosted()) == (200, b"0")

    @pytest.mark.parametrize("sent", [b"nonsense", b"\x00" * 4096, b"\x16\x03\x01\xff\xff" + b"\xff" * 70_000])
    def test_sender_of_other_bytes_than_tls_is_cut_and_the_port_goes_on(self, server: TlsServer, sent: bytes) -> None:
        with server.plain() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(sent)
            assert is_cut(connection)
        assert server.ask(hosted()) == (200, b"0")

    def test_client_that_hangs_up_within_the_handshake_leaves_nothing(self, server: TlsServer) -> None:
        for option in (b"", _RESET):
            with server.plain() as connection:
                connection.sendall(b"\x16\x03\x01")
                if option:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        assert server.ask(hosted(b"Connection: close")) == (200, b"0")
        until(lambda: not server.connections())

    def test_unfinished_handshakes_make_room_for_requests(self, serve: Serve) -> None:
        server = serve(max_connections=4, handshake_seconds=60.0)
        with contextlib.ExitStack() as held:
            first = held.enter_context(server.plain())
            until(lambda: bool(server.connections()))
            # The event loop's clock counts milliseconds.
            time.sleep(0.01)
            for _ in range(12):
                held.enter_context(server.plain())
            assert server.ask(hosted()) == (200, b"0")
            assert is_cut(first)
            assert len(server.connections()) <= 4

    def test_handshakes_evict_no_request(self, serve: Serve) -> None:
        server = serve(max_connections=1)
        busy = server.connected(hosted(b"Content-Length: 2", method=b"POST") + b"a")
        with busy as connection, contextlib.ExitStack() as held:
            until(lambda: any(not each.is_without_request for each in server.connections()))
            for _ in range(24):
                held.enter_context(server.plain())
            connection.sendall(b"b")
            assert read_answer(connection).body == b"2"

    def test_versions_before_tls_1_2_are_refused(self, server: TlsServer) -> None:
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        # Python warns about versions that no server should speak.
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)), server.connected(context=old):
            pass

    def test_protocol_is_http_1_1(self, server: TlsServer, data: DataDir) -> None:
        context = client_context(data.tls_authority)
        context.set_alpn_protocols(["h2", "http/1.1"])
        with server.connected(context=context) as connection:
            assert connection.selected_alpn_protocol() == "http/1.1"


class TestTimes:
    def test_idle_connection_is_closed_after_the_keep_alive(self, serve: Serve) -> None:
        server = serve(keep_alive_seconds=0.3)
        with server.connected(hosted()) as connection:
            assert read_answer(connection).status == 200
            assert rest(connection) == b""

    def test_client_that_sends_no_request_is_closed(self, serve: Serve) -> None:
        server = serve(header_seconds=0.2)
        with server.connected() as connection:
            assert rest(connection) == b""

    def test_body_that_stalls_is_a_408(self, serve: Serve) -> None:
        server = serve(body_seconds=0.2)
        with server.connected(hosted(b"Content-Length: 99999999", method=b"POST") + bytes(1 << 10)) as connection:
            assert code_of(rest(connection)) == (408, "BodyTimeout")

    def test_caller_that_reads_no_response_is_cut(self, serve: Serve) -> None:
        server = serve(body_seconds=0.2)
        with server.connected(hosted(b"Connection: close", target=b"/large")) as connection:
            time.sleep(1.0)
            with contextlib.suppress(ssl.SSLError):
                assert len(rest(connection)) < LARGE

    def test_caller_that_reads_slowly_but_steadily_gets_the_whole_response(self, serve: Serve) -> None:
        server = serve(body_seconds=0.5)
        with server.connected(hosted(b"Connection: close", target=b"/large")) as connection:
            received = 0
            while piece := connection.recv(1 << 20):
                received += len(piece)
                # TLS hands over a record at a time.
                time.sleep(0.0005)
            assert received > LARGE

    def test_response_that_is_not_read_fills_no_memory(self, serve: Serve) -> None:
        server = serve()
        with server.connected(hosted(target=b"/large")):
            until(lambda: any(getattr(each, "is_write_paused", False) for each in server.connections()))
            (connection,) = server.connections()
            assert connection._unsent_bytes() < 4 << 20

    def test_sender_that_never_ends_after_a_refusal_is_cut(self, serve: Serve) -> None:
        server = serve(linger_seconds=0.2)

        def send_without_end(connection: socket.socket) -> None:
            while True:
                connection.sendall(bytes(1 << 16))

        with server.connected(b"nonsense\r\n") as connection, pytest.raises((ssl.SSLError, ConnectionError)):
            send_without_end(connection)


def test_stop_answers_the_request_under_way_and_ends(data: DataDir) -> None:
    server = TlsServer(data)
    with server.connected(hosted()) as idle, server.connected(hosted(target=b"/hold")) as connection:
        assert read_answer(idle).status == 200
        time.sleep(0.1)
        server.close()
        answer = read_answer(connection)
        assert (answer.status, answer.is_last) == (200, True)
        assert rest(idle) == b""
