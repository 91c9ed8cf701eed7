"""Compressed requests and answers, on every route that has a body."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from tests.data_plane.gateway.conftest import gateways
from tests.data_plane.gateway.gateway_process import KEY, GatewayProcess, Reply
from tests.data_plane.replicas.worker_harness import PATIENCE

LARGEST = 1 << 20

# Numbers the rows. For a single row, returns as many numbers as the row says; random numbers if negative.
MANY = """
    import numpy

    def init():
        pass

    def run(input_data, params=None):
        if len(input_data) > 1:
            return list(range(len(input_data)))
        count = int(input_data[0])
        if count < 0:
            return numpy.random.default_rng(7).integers(2**63, size=-count)
        return [float(number) for number in range(count)]
"""
BODY = json.dumps({"input_data": [1.5, 2.5, 3.5]}).encode()


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate with zlib's header": ("deflate", zlib.compress),
    "deflate without": ("deflate", raw_deflate),
    "gzip in two members": ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "padded gzip": ("gzip", lambda data: gzip.compress(data) + bytes(512)),
    "stored, not compressed": ("gzip", lambda data: gzip.compress(data, 0)),
    "gzip and nothing": ("identity, gzip", gzip.compress),
    "nothing": ("identity", lambda data: data),
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    with gateways() as start:
        front = start(settings={"MODELYARD_GATEWAY_MAX_BODY_BYTES": str(LARGEST)})
        front.serve(MANY)
        yield front


def send(gateway: GatewayProcess, coding: str, body: bytes, path: str = "score", **headers: str) -> Reply:
    return gateway.request("POST", f"/wines/{path}", body, {"Content-Encoding": coding, **headers})


def ask(gateway: GatewayProcess, accept: str | None, count: int) -> Reply:
    headers = {} if accept is None else {"Accept-Encoding": accept}
    return gateway.score([count], headers=headers)


class TestCompressedRequests:
    @pytest.mark.parametrize("packed", PACKED)
    def test_compressed_request_is_decompressed(self, gateway: GatewayProcess, packed: str) -> None:
        coding, pack = PACKED[packed]
        assert send(gateway, coding, pack(BODY)).json == [0, 1, 2]

    def test_codings_in_several_lines_are_refused_as_a_list(self, gateway: GatewayProcess) -> None:
        body = zlib.compress(gzip.compress(BODY))
        head = f"POST /wines/score HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Encoding: gzip\r\n"
        head += "Content-Encoding: deflate\r\nContent-Type: application/json\r\nConnection: close\r\n"
        with gateway.raw() as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 415")

    def test_compressed_request_works_in_every_protocol(self, gateway: GatewayProcess) -> None:
        assert send(gateway, "gzip", gzip.compress(b'{"inputs": [1.5, 2.5]}'), "invocations").json == {
            "predictions": [0, 1]
        }
        csv = {"Content-Type": "text/csv"}
        assert send(gateway, "deflate", raw_deflate(b"a\n1\n2\n"), "invocations", **csv).json == {"predictions": [0, 1]}
        tensor = {"name": "a", "shape": [2], "datatype": "FP64", "data": [1.5, 2.5]}
        infer = send(gateway, "gzip", gzip.compress(json.dumps({"inputs": [tensor]}).encode()), "v2/models/wine/infer")
        assert infer.json["outputs"][0]["data"] == [0, 1]

    def test_large_compressed_request_is_decompressed(self, gateway: GatewayProcess) -> None:
        body = json.dumps({"input_data": [[row * 0.1] for row in range(50_000)]}).encode()
        assert len(gzip.compress(body)) > 4096
        assert len(send(gateway, "gzip", gzip.compress(body)).json) == 50_000

    def test_empty_body_with_a_content_encoding_is_empty(self, gateway: GatewayProcess) -> None:
        assert "empty" in send(gateway, "gzip", b"").error["message"]
        assert "empty" in send(gateway, "gzip", gzip.compress(b"")).error["message"]


class TestRefusedRequests:
    @pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
    @pytest.mark.parametrize("size", [LARGEST + 1, 50 * LARGEST])
    def test_body_that_decompresses_beyond_the_limit_is_refused(
        self, gateway: GatewayProcess, coding: str, pack: Callable[[bytes], bytes], size: int
    ) -> None:
        for path in ("score", "invocations", "v2/models/wine/infer"):
            assert send(gateway, coding, pack(b" " * size), path).status == 413

    def test_body_that_decompresses_to_the_limit_is_accepted(self, gateway: GatewayProcess) -> None:
        assert send(gateway, "gzip", gzip.compress(BODY.ljust(LARGEST))).json == [0, 1, 2]

    def test_gzip_members_that_add_up_beyond_the_limit_are_refused(self, gateway: GatewayProcess) -> None:
        assert send(gateway, "gzip", gzip.compress(b" " * 1000) * 2000).status == 413

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    @pytest.mark.parametrize(
        ("name", "damage"),
        [
            ("cut off", lambda packed: packed[:-3]),
            ("cut off early", lambda packed: packed[:1]),
            ("followed by something", lambda packed: packed + b"more"),
            ("something else", lambda packed: BODY),
            ("zeros", lambda packed: bytes(64)),
            ("changed", lambda packed: packed[:12] + bytes([packed[12] ^ 0xFF]) + packed[13:]),
        ],
    )
    def test_damaged_compressed_body_is_refused(
        self, gateway: GatewayProcess, coding: str, name: str, damage: Callable[[bytes], bytes]
    ) -> None:
        pack = gzip.compress if coding == "gzip" else zlib.compress
        reply = send(gateway, coding, damage(pack(BODY)))
        assert reply.status == 400, name
        if name != "zeros":
            assert coding in reply.error["message"]

    def test_body_with_a_wrong_checksum_is_refused(self, gateway: GatewayProcess) -> None:
        packed = bytearray(gzip.compress(BODY))
        packed[-6] ^= 1
        assert "gzip" in send(gateway, "gzip", bytes(packed)).error["message"]

    def test_body_of_thousands_of_empty_members_is_refused(self, gateway: GatewayProcess) -> None:
        assert send(gateway, "gzip", gzip.compress(b"") * 20_000).status == 400

    @pytest.mark.parametrize(
        "coding", ["br", "zstd", "gzip, br", "compress", "gzip, gzip", "gzip, deflate", "x-gzip,gzip", "g\xfczip"]
    )
    def test_unknown_content_encoding_is_refused(self, gateway: GatewayProcess, coding: str) -> None:
        reply = send(gateway, coding, BODY)
        assert (reply.status, reply.error["code"]) == (415, "UnsupportedContentEncoding")
        assert "gzip" in reply.error["message"]
        assert reply.headers["accept-encoding"] == "gzip, deflate"

    def test_refused_content_encoding_has_the_error_body_of_its_protocol(self, gateway: GatewayProcess) -> None:
        assert b"gzip" in send(gateway, "br", b"{}", "invocations").content
        assert "gzip" in send(gateway, "br", b"{}", "v2/models/wine/infer").json["error"]
        assert send(gateway, "gzip", b"{}", "invocations").json["error_code"] == "BAD_REQUEST"

    def test_connection_stays_open_after_a_refused_compressed_body(self, gateway: GatewayProcess) -> None:
        send(gateway, "gzip", b"{}")
        assert gateway.score([1, 2]).json == [0, 1]


UNPACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


class TestCompressedAnswers:
    @pytest.mark.parametrize(
        ("accept", "coding"),
        [
            ("gzip", "gzip"),
            ("deflate", "deflate"),
            ("gzip, deflate, br", "gzip"),
            ("br;q=1.0, GZIP;q=0.5", "gzip"),
            ("gzip;q=0.3, deflate;q=0.8", "deflate"),
            ("*", "gzip"),
            ("gzip;q=0, *", "deflate"),
            ("identity;q=0.5, gzip", "gzip"),
            ("identity;q=0, *;q=0.001", "gzip"),
            ("x-gzip ; q=1", "gzip"),
        ],
    )
    def test_answer_has_the_coding_that_the_caller_prefers(
        self, gateway: GatewayProcess, accept: str, coding: str
    ) -> None:
        reply = ask(gateway, accept, 3000)
        assert (reply.headers["content-encoding"], reply.headers["vary"]) == (coding, "accept-encoding")
        assert int(reply.headers["content-length"]) == len(reply.content) < 15_000
        assert json.loads(UNPACK[coding](reply.content)) == [float(i) for i in range(3000)]

    @pytest.mark.parametrize(
        "accept",
        [
            None,
            "br",
            "identity",
            "gzip;q=0",
            "gzip;q=0.0, deflate;q=0",
            "gzip;q=0.5, identity",
            "*;q=0",
            "identity;q=0",
            "gzip;q=2",
            "gzip;q=nan",
            ";q=1, =;, ,",
        ],
    )
    def test_answer_is_uncompressed_without_an_accepted_coding(
        self, gateway: GatewayProcess, accept: str | None
    ) -> None:
        reply = ask(gateway, accept, 3000)
        assert "content-encoding" not in reply.headers
        assert reply.headers["vary"] == "accept-encoding"
        assert len(reply.json) == 3000

    def test_small_answer_is_uncompressed(self, gateway: GatewayProcess) -> None:
        reply = ask(gateway, "gzip, deflate", 20)
        assert ("content-encoding" in reply.headers, len(reply.json)) == (False, 20)

    def test_small_answer_is_compressed_if_identity_is_not_accepted(self, gateway: GatewayProcess) -> None:
        assert len(json.loads(gzip.decompress(ask(gateway, "gzip, identity;q=0", 2).content))) == 2

    def test_answer_that_compression_does_not_shrink_is_uncompressed(self, gateway: GatewayProcess) -> None:
        tensor = {"name": "a", "shape": [1], "datatype": "FP64", "data": [-500]}
        question = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
        reply = gateway.request("POST", "/wines/v2/models/wine/infer", question, {"Accept-Encoding": "gzip"})
        assert len(reply.content) > 4000
        assert "content-encoding" not in reply.headers

    def test_large_answer_is_compressed(self, gateway: GatewayProcess) -> None:
        assert len(json.loads(gzip.decompress(ask(gateway, "gzip", 400_000).content))) == 400_000


class TestClients:
    """`requests`, `httpx` and the clients built on these libraries accept gzip by default."""

    @pytest.mark.parametrize("coding", ["gzip", "deflate"])
    def test_tritons_client_compresses_requests_and_decompresses_answers(
        self, gateway: GatewayProcess, coding: str
    ) -> None:
        tensor: Any = triton.InferInput("a", [2000], "FP64")
        tensor.set_data_from_numpy(np.arange(2000.0))
        with triton.InferenceServerClient(f"127.0.0.1:{gateway.port}/wines", network_timeout=PATIENCE) as client:
            answer = client.infer(
                "wine",
                [tensor],
                headers={"Authorization": f"Bearer {KEY}"},
                request_compression_algorithm=coding,
                response_compression_algorithm=coding,
            )
        assert answer.get_response()["outputs"][0]["shape"][0] == 2000
