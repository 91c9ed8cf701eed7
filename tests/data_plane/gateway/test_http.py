"""HTTP/1.1 on every route: methods, HEAD and OPTIONS, `Expect: 100-continue`, pipelines, keep-alive."""

import contextlib
import http.client
import io
import json
import socket
from collections.abc import Iterator

import pytest

from tests.data_plane.gateway.conftest import gateways
from tests.data_plane.gateway.gateway_process import DOUBLES, KEY, GatewayProcess, reply

LARGEST = 100_000

ECHO = """
    def init():
        pass

    def run(input_data, params=None):
        return input_data if isinstance(input_data, list) else input_data.to_numpy()
"""
# The paths for GET, and the paths for scoring.
TO_READ = [
    "",
    "/",
    "/swagger.json",
    "/ping",
    "/health",
    "/version",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/wine",
    "/v2/models/wine/versions/1/ready",
]
TO_SCORE = ["/score", "/invocations", "/v2/models/wine/infer", "/v2/models/wine/versions/1/infer"]
READS, SCORES = "GET, HEAD, OPTIONS", "POST, OPTIONS"
ALLOWED = dict.fromkeys(TO_READ, READS) | dict.fromkeys(TO_SCORE, SCORES) | {"/v2/repository/index": SCORES}


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with gateways() as start:
        front = start(settings={"MODELYARD_GATEWAY_MAX_BODY_BYTES": str(LARGEST)})
        front.serve(ECHO, inputs=DOUBLES, mlflow_version="3.1.0")
        yield front


def question(row: float, *headers: str, key: str = KEY) -> bytes:
    body = json.dumps({"input_data": [[row, row]]})
    lines = [
        "POST /wines/score HTTP/1.1",
        "Host: x",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def head_of(question: bytes) -> bytes:
    return question[: question.index(b"\r\n\r\n") + 4]


class Answers:
    """Reads the answers of a connection in order."""

    def __init__(self, connection: socket.socket) -> None:
        self._file = connection.makefile("rb")

    def next(self, method: str = "POST") -> tuple[int, bytes]:
        response = http.client.HTTPResponse(_Kept(self._file), method=method)  # type: ignore[arg-type]
        response.begin()
        return response.status, response.read()

    def interim(self) -> bytes:
        line: bytes = self._file.readline()
        assert self._file.readline() == b"\r\n"
        return line

    def is_over(self) -> bool:
        return self._file.read(1) == b""

    def close(self) -> None:
        self._file.close()


class _Kept:
    """A socket's file, for HTTPResponse, which would close it."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file

    def makefile(self, mode: str) -> io.BufferedReader:
        return self

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)

    def close(self) -> None:
        pass


@contextlib.contextmanager
def talking(gateway: GatewayProcess) -> Iterator[tuple[socket.socket, Answers]]:
    with gateway.raw() as connection, contextlib.closing(Answers(connection)) as answers:
        yield connection, answers


class TestMethods:
    @pytest.mark.parametrize("path", ALLOWED)
    def test_options_lists_the_methods_of_a_path(self, gateway: GatewayProcess, path: str) -> None:
        reply = gateway.request("OPTIONS", f"/wines{path}", headers={"Authorization": ""})
        assert (reply.status, reply.headers["allow"], reply.content) == (200, ALLOWED[path], b"")

    @pytest.mark.parametrize("path", ALLOWED)
    @pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
    def test_other_methods_are_a_405(self, gateway: GatewayProcess, path: str, method: str) -> None:
        answered = gateway.request(method, f"/wines{path}", "" if method == "POST" else None)
        if method in ALLOWED[path]:
            assert answered.status != 405
        else:
            assert (answered.status, answered.headers["allow"]) == (405, ALLOWED[path])

    @pytest.mark.parametrize("path", TO_READ)
    def test_head_is_get_without_the_body(self, gateway: GatewayProcess, path: str) -> None:
        with contextlib.closing(gateway.connection()) as connection:
            key = {"Authorization": f"Bearer {KEY}"}
            connection.request("GET", f"/wines{path}", headers=key)
            read = reply(connection)
            connection.request("HEAD", f"/wines{path}", headers=key)
            told = reply(connection)
            assert (read.status, told.status, told.content) == (200, 200, b"")
            own = {"x-request-id", "date"}
            assert {k: v for k, v in told.headers.items() if k not in own} == {
                k: v for k, v in read.headers.items() if k not in own
            }
            assert int(told.headers["content-length"]) == len(read.content)
            # The connection is where it should be.
            connection.request("GET", f"/wines{path}", headers=key)
            assert reply(connection).content == read.content

    @pytest.mark.parametrize("path", TO_READ)
    def test_head_needs_the_key(self, gateway: GatewayProcess, path: str) -> None:
        assert gateway.request("HEAD", f"/wines{path}", headers={"Authorization": ""}).status == 401

    @pytest.mark.parametrize("target", ["*", "http://x/wines/score", "/wines/score?a=%zz#b"])
    def test_request_target_may_have_any_form(self, gateway: GatewayProcess, target: str) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(f"OPTIONS {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert answers.next("OPTIONS")[0] in {200, 404}


class TestExpectContinue:
    EXPECT = "Expect: 100-continue"

    def test_expect_continue_is_answered_with_100(self, gateway: GatewayProcess) -> None:
        asked = question(7, self.EXPECT)
        with talking(gateway) as (connection, answers):
            connection.sendall(head_of(asked))
            assert answers.interim().startswith(b"HTTP/1.1 100")
            connection.sendall(asked.removeprefix(head_of(asked)))
            assert answers.next() == (200, b"[[7.0,7.0]]")

    def test_body_sent_before_the_100_is_read(self, gateway: GatewayProcess) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(question(7, self.EXPECT))
            answers.interim()
            assert answers.next() == (200, b"[[7.0,7.0]]")

    @pytest.mark.parametrize(
        ("asked", "status"),
        [
            (question(7, EXPECT, key="wrong"), 401),
            (question(7, EXPECT).replace(b"/wines/score", b"/other/score"), 404),
            (question(7, EXPECT).replace(b"/wines/score", b"/wines/ping"), 405),
            (question(7, EXPECT, "Content-Encoding: br"), 415),
            (question(7, EXPECT).replace(b"Content-Length: ", b"Content-Length: 9999"), 413),
        ],
    )
    def test_expect_continue_of_a_refused_request_gets_no_100(
        self, gateway: GatewayProcess, asked: bytes, status: int
    ) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(head_of(asked))
            assert answers.next()[0] == status


class TestKeepAlive:
    def test_a_connection_serves_many_requests(self, gateway: GatewayProcess) -> None:
        with talking(gateway) as (connection, answers):
            for row in range(100):
                connection.sendall(question(row))
                assert answers.next() == (200, b"[[%d.0,%d.0]]" % (row, row))

    def test_errors_keep_the_connection_open(self, gateway: GatewayProcess) -> None:
        refused = [
            question(1, key="wrong"),
            question(1).replace(b"/wines/score", b"/wines/other"),
            question(1).replace(b"POST", b"PATCH"),
            question(1).replace(b"[[1", b"{{1"),
            question(1, "Content-Encoding: br"),
        ]
        with talking(gateway) as (connection, answers):
            for asked, status in zip(refused, (401, 404, 405, 400, 415), strict=True):
                connection.sendall(asked)
                assert answers.next()[0] == status
                connection.sendall(question(3))
                assert answers.next() == (200, b"[[3.0,3.0]]")

    def test_connection_close_of_the_caller_ends_the_connection(self, gateway: GatewayProcess) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(question(1, "Connection: close"))
            assert answers.next()[0] == 200
            assert answers.is_over()

    def test_http_1_0_request_ends_the_connection(self, gateway: GatewayProcess) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(question(1).replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert answers.next() == (200, b"[[1.0,1.0]]")
            assert answers.is_over()

    @pytest.mark.parametrize("protocol", ["websocket", "h2c", "TLS/1.3"])
    def test_upgrade_offer_is_ignored_and_the_request_answered(self, gateway: GatewayProcess, protocol: str) -> None:
        with talking(gateway) as (connection, answers):
            offering = question(1, "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}")
            second = question(2, "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}")
            connection.sendall(offering + second + question(3))
            for row in (1, 2, 3):
                assert answers.next() == (200, b"[[%d.0,%d.0]]" % (row, row))

    def test_upgrade_offer_in_pieces_is_ignored(self, gateway: GatewayProcess) -> None:
        offering = question(1, "Connection: Upgrade", "Upgrade: h2c")
        with talking(gateway) as (connection, answers):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(offering), 7):
                connection.sendall(offering[start : start + 7])
            assert answers.next() == (200, b"[[1.0,1.0]]")

    def test_connect_is_refused(self, gateway: GatewayProcess) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n")
            assert answers.next()[0] in {400, 404}


class TestPipelines:
    def test_pipelined_requests_are_answered_in_order(self, gateway: GatewayProcess) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(b"".join(map(question, range(50))))
            for row in range(50):
                assert answers.next() == (200, b"[[%d.0,%d.0]]" % (row, row))

    def test_pipeline_may_mix_methods_errors_and_chunked_bodies(self, gateway: GatewayProcess) -> None:
        chunked = (
            head_of(question(4))
            .replace(b"Content-Length", b"X-Length")
            .replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
        )
        chunked += b'13\r\n{"input_data": [[4,\r\n4\r\n 4]]\r\n1;x=y\r\n}\r\n0\r\nX-Trailer: z\r\n\r\n'
        look = f"%s /wines/ping HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        with talking(gateway) as (connection, answers):
            connection.sendall(
                (look % "HEAD").encode() + question(1, key="wrong") + chunked + (look % "GET").encode() + question(2)
            )
            assert answers.next("HEAD") == (200, b"")
            assert answers.next()[0] == 401
            assert answers.next() == (200, b"[[4.0,4.0]]")
            assert answers.next("GET") == (200, b"\n")
            assert answers.next() == (200, b"[[2.0,2.0]]")

    def test_pipeline_ends_with_connection_close(self, gateway: GatewayProcess) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(question(1) + question(2, "Connection: close") + question(3))
            assert [answers.next()[1], answers.next()[1]] == [b"[[1.0,1.0]]", b"[[2.0,2.0]]"]
            assert answers.is_over()

    def test_pipeline_ends_with_invalid_http(self, gateway: GatewayProcess) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(question(1) + b"\x00nonsense\r\n\r\n")
            assert answers.next() == (200, b"[[1.0,1.0]]")
            assert answers.is_over()


class TestSmuggling:
    """Requests that two servers could read differently."""

    @pytest.mark.parametrize(
        "ambiguous",
        [
            question(1, "Transfer-Encoding: chunked"),
            question(1, "Content-Length: 3"),
            question(1).replace(b"Content-Length: ", b"Content-Length: +"),
            question(1).replace(b"Content-Length: ", b"Content-Length : "),
            question(1, "X-Folded: a\r\n b"),
            question(1, "X-Null: a\x00b"),
            question(1).replace(b"Content-Length: ", b"Content-Length: 99999999999999999999"),
        ],
    )
    def test_ambiguous_request_is_a_400(self, gateway: GatewayProcess, ambiguous: bytes) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(ambiguous)
            assert answers.next()[0] == 400
            assert answers.is_over()


def chunked(*pieces: bytes) -> bytes:
    head = head_of(question(4)).replace(b"Content-Length", b"X-Length")
    return head.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n") + b"".join(pieces)


class TestChunks:
    WHOLE = b'{"input_data": [[4, 4]]}'

    def test_chunks_of_one_byte_are_read(self, gateway: GatewayProcess) -> None:
        pieces = [b"1\r\n%c\r\n" % byte for byte in self.WHOLE]
        with talking(gateway) as (connection, answers):
            connection.sendall(chunked(*pieces, b"0\r\n\r\n") + question(5))
            assert answers.next() == (200, b"[[4.0,4.0]]")
            assert answers.next() == (200, b"[[5.0,5.0]]")

    @pytest.mark.parametrize(
        "broken", [b"x\r\n", b"-1\r\n", b"1\r\nab\r\n", b"fffffffffffffffff\r\n", b"0x5\r\nhello\r\n", b"\r\n\r\n"]
    )
    def test_chunk_with_an_invalid_size_is_a_400(self, gateway: GatewayProcess, broken: bytes) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(chunked(broken, b"0\r\n\r\n"))
            assert answers.next()[0] == 400
            assert answers.is_over()

    def test_chunk_beyond_the_limit_is_refused_when_it_arrives(self, gateway: GatewayProcess) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(chunked(b"%x\r\n" % (2 * LARGEST), b" " * (LARGEST + 1)))
            assert answers.next()[0] == 413


class TestUnusualHeaders:
    @pytest.mark.parametrize(
        "absurd",
        [
            [f"X-{number}: {number}" for number in range(100)],
            ["X" * 30_000 + ": long"],
            ["X-Long: " + "y" * 60_000],
            ["X-Empty:", "X-Blank:      ", "!#$%&'*+-.^_`|~: every character of a name"],
            ["Content-Type: application/json"] * 3,
            ["Accept-Encoding: " + ",;=q" * 1000],
            ["Date: yesterday", "X-Request-Id: mine", "Traceparent: none"],
        ],
        ids=range(7),
    )
    def test_unusual_headers_are_ignored(self, gateway: GatewayProcess, absurd: list[str]) -> None:
        with talking(gateway) as (connection, answers):
            for row in (1, 2):
                connection.sendall(question(row, *absurd))
                assert answers.next() == (200, b"[[%d.0,%d.0]]" % (row, row))

    def test_header_bytes_beyond_ascii_are_ignored(self, gateway: GatewayProcess) -> None:
        with talking(gateway) as (connection, answers):
            connection.sendall(question(1, "X-Bytes: @").replace(b"@", bytes(range(0x80, 0x100))))
            assert answers.next() == (200, b"[[1.0,1.0]]")
            connection.sendall(question(1, "azureml-model-deployment: @").replace(b"@", b"\xff\xfe"))
            assert answers.next()[0] == 404

    @pytest.mark.parametrize(
        "field", ["Authorization", "Content-Type", "azureml-model-deployment", "x-ms-client-request-id"]
    )
    def test_odd_header_values_get_a_valid_answer(self, gateway: GatewayProcess, field: str) -> None:
        for value in ("", "\x85", "\xff" * 500, "a,b;c=d", "%0d%0aX: y", "\t"):
            with talking(gateway) as (connection, answers):
                connection.sendall(question(1, f"{field}: @").replace(b"@", value.encode("latin-1")))
                assert answers.next()[0] in {200, 400, 401, 404, 415}
