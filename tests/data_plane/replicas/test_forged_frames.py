"""Forged messages of a model worker: each fails its own request at most, and other deployments keep answering.

The worker is a socket of the test: user code shares the worker's process and can write any bytes to the worker's
socket. Beside each attack an honest worker of another deployment answers through the same event loop.
"""

import asyncio
import json
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from data_plane.replicas.local.batching import Batching
from data_plane.replicas.local.local_replica import LocalReplica
from data_plane.replicas.local.worker_connection import ConnectionSettings
from data_plane.replicas.port import ScoreRequest
from data_plane.scoring.codecs.azure import AzureCodec
from data_plane.scoring.errors import ScoringError
from data_plane.scoring.payload.values import JsonPayload
from data_plane.worker import frames
from data_plane.worker.frames import FrameReader
from modelyard.core.domain.routing import DeploymentRoute, WorkerRoute

MAX_BYTES = 1 << 20
FRAME_SECONDS = 0.3

Forge = Callable[[int], bytes]
"""From the request's id to the bytes that the worker sends for the request."""


def frame(kind: int, request_id: int, meta: Any, body: bytes = b"") -> bytes:
    text = meta if isinstance(meta, bytes) else json.dumps(meta).encode()
    return frames.HEADER.pack(b"MY", frames.VERSION, kind, request_id, len(text), len(body)) + text + body


def result(described: Any, body: bytes = b"", **meta: Any) -> Forge:
    return lambda number: frame(frames.RESULT, number, {"result": described, "seconds": 0.001, **meta}, body)


def array(shape: Any, body: bytes = b"", dtype: Any = "<f8", place: Any = None) -> Forge:
    place = [0, len(body)] if place is None else place
    return result({"kind": "array", "dtype": dtype, "shape": shape, "data": place}, body)


def table(rows: Any, *columns: Any, body: bytes = bytes(8)) -> Forge:
    return result({"kind": "frame", "rows": rows, "columns": list(columns)}, body)


def text_column(*offsets: int, data: int = 8) -> dict[str, Any]:
    return {"name": "t", "type": "string", "data": [0, data], "offsets": [data, 8 * len(offsets)]}


def texts(*offsets: int) -> Forge:
    return table(len(offsets) - 1, text_column(*offsets), body=bytes(8) + struct.pack(f"<{len(offsets)}q", *offsets))


def answer(text: bytes) -> Forge:
    return result({"kind": "json", "data": [0, len(text)]}, text)


def error(**fields: Any) -> Forge:
    meta = {"error": "model", "type": "ValueError", "message": "no", "reference": None, **fields}
    return lambda number: frame(frames.ERROR, number, meta)


def header(kind: int, meta_length: int, body_length: int, magic: bytes = b"MY", version: int = 1) -> Forge:
    return lambda number: frames.HEADER.pack(magic, version, kind, number, meta_length, body_length)


DOUBLE = {"name": "x", "type": "double", "data": [0, 8]}
FORGED: dict[str, Forge] = {
    "array without data and with ten million entries": array([10_000_000, 0]),
    "array without data and with nested entries": array([3000, 3000, 0]),
    "array without data and with 10^18 entries": array([10**18, 0]),
    "array with an overflowing shape": array([2**40, 2**40, 0]),
    "array with a negative dimension": array([-1, 8], bytes(64)),
    "array with a fractional dimension": array([1.5], bytes(8)),
    "array with 60 dimensions": array([1] * 60, bytes(8)),
    "array with a text for a shape": array("12", bytes(8)),
    "array of Python objects": array([1], bytes(8), dtype="|O"),
    "array of texts": array([1], bytes(8), dtype="<U2"),
    "array of a structured dtype": array([1], bytes(8), dtype="i4,i4"),
    "array of voids without a size": array([10**9], b"", dtype="V0"),
    "array of a dtype that is a list": array([1], bytes(8), dtype=[["a", "i4"]]),
    "array beyond the body": array([2], bytes(8), place=[0, 16]),
    "array before the body": array([1], bytes(8), place=[-8, 8]),
    "array at a fractional offset": array([1], bytes(8), place=[0.0, 8]),
    "frame with 10^12 rows and no column": table(10**12),
    "frame with negative rows": table(-1),
    "frame with rows that are no number": table("1", DOUBLE),
    "frame with fewer values than rows": table(2, DOUBLE),
    "frame with columns over the same bytes": table(1, *[DOUBLE] * 1000),
    "frame with a column of objects": table(1, {**DOUBLE, "type": "json"}),
    "frame with a column of an unknown type": table(1, {**DOUBLE, "type": "double[]"}),
    "frame with a type that is a list": table(1, {**DOUBLE, "type": ["double"]}),
    "frame with a name that is no text": table(1, {**DOUBLE, "name": {"a": 1}}),
    "frame with a name of 100 kB": table(1, {**DOUBLE, "name": "n" * 100_000}),
    "frame with too few nulls": table(1, {**DOUBLE, "data": [0, 8], "nulls": [8, 0]}),
    "frame with columns that are no list": result({"kind": "frame", "rows": 1, "columns": 7}),
    "texts with decreasing offsets": texts(0, 8, 0, 8),
    "texts with an offset beyond the data": texts(0, 9),
    "texts with a negative offset": texts(-1, 8),
    "JSON that is not UTF-8": answer(b'\xff\x00"{'),
    "JSON that is cut off": answer(b'{"a": ['),
    "JSON with NaN": answer(b"[NaN]"),
    "JSON with half a surrogate pair": answer(b'"\xed\xa0\x80"'),
    "JSON of nothing": answer(b""),
    "JSON with two values": answer(b"1 2"),
    "JSON nested 500,000 times": answer(b"[" * 500_000),
    "result of an unknown kind": result({"kind": "poem"}),
    "result that is a list": result([1, 2]),
    "meta that is a list": lambda number: frame(frames.RESULT, number, [1]),
    "meta that is no JSON": lambda number: frame(frames.RESULT, number, b"\xff\xfe"),
    "meta nested 100,000 times": lambda number: frame(frames.RESULT, number, b"[" * 100_000),
    "seconds that are a text": result({"kind": "json", "data": [0, 1]}, b"1", seconds="1"),
    "seconds that are infinite": lambda number: frame(
        frames.RESULT, number, b'{"result":{"kind":"json","data":[0,1]},"seconds":1e999}', b"1"
    ),
    "error without fields": lambda number: frame(frames.ERROR, number, {}),
    "error with a list for a message": error(message=[1] * 1000),
    "error with a message of 900 kB": error(message="m" * 900_000),
    "error with NUL and half a surrogate pair": error(message="bad \0 \ud800", type="\x1b[2J", reference="\0"),
}
# These end the connection: after them no byte of the stream can be trusted.
BREAKING: dict[str, Forge] = {
    "bytes that are no frame": lambda number: b"GET / HTTP/1.1\r\n\r\n" * 4,
    "frame of an unknown version": header(frames.RESULT, 2, 0, version=9),
    "frame of an unknown kind": lambda number: frame(77, number, {}),
    "frame of the host": lambda number: frame(frames.PONG, number, {}),
    "frame with a body over the limit": header(frames.RESULT, 2, MAX_BYTES + 1),
    "frame with a body of 2^60 bytes": header(frames.RESULT, 2, 2**60),
    "frame with a meta of 16 MB": header(frames.RESULT, 16 << 20, 0),
    "unfinished header": lambda number: b"MY\x01",
    "unfinished body": lambda number: frame(frames.RESULT, number, {}, bytes(1000))[:-1],
    "answer to another request": lambda number: frame(frames.RESULT, number + 99, {}),
    "status of another worker": lambda number: frame(frames.STATUS, 0, status("other")),
    "status in an unknown state": lambda number: frame(frames.STATUS, 0, {**status("evil"), "state": "divine"}),
    "status that is a text": lambda number: frame(frames.STATUS, 0, b'"ready"'),
    "storm of statuses": lambda number: frame(frames.STATUS, 0, status("evil")) * 5000,
}


def status(worker_id: str) -> dict[str, Any]:
    return {
        "protocol": frames.VERSION,
        "worker_id": worker_id,
        "generation": 3,
        "pid": 1,
        "state": "ready",
        "error": None,
        "python": "3.11",
        "started_at": 1.0,
    }


@asynccontextmanager
async def fake_worker(folder: Path, worker_id: str, forge: Forge) -> Any:
    """A socket that answers HELLO as a ready worker, and every SCORE with the forged bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming = FrameReader()
        try:
            while data := await reader.read(1 << 16):
                for arrived in incoming.feed(data):
                    is_hello = arrived.kind == frames.HELLO
                    writer.write(
                        frame(frames.STATUS, arrived.request_id, status(worker_id))
                        if is_hello
                        else forge(arrived.request_id)
                    )
        except ConnectionError:
            pass
        finally:
            writer.close()

    socket = folder / f"{worker_id}.sock"
    server = await asyncio.start_unix_server(serve, socket)
    yield DeploymentRoute(
        name=worker_id,
        generation=3,
        bundle_dir="",
        workers=(WorkerRoute(worker_id, str(socket), 1),),
        request_timeout_seconds=5.0,
        max_concurrent_requests_per_instance=None,
        max_queue_wait_seconds=None,
    )
    server.close()


class OpenSlot:
    def enter(self, limit: int) -> bool:
        return True

    def leave(self) -> None: ...

    def release(self) -> None: ...


@asynccontextmanager
async def replica(route: DeploymentRoute, faults: list[str]) -> Any:
    settings = ConnectionSettings(
        MAX_BYTES, FRAME_SECONDS, lambda worker_id, reason: faults.append(reason), busy_poll_seconds=0.0003
    )
    serving = LocalReplica(route, Batching(auto_enabled=False), OpenSlot(), settings)
    yield serving
    serving.retire()
    serving.update(DeploymentRoute(**{**_fields(route), "workers": ()}))
    await asyncio.sleep(0.01)


def _fields(route: DeploymentRoute) -> dict[str, Any]:
    return {name: getattr(route, name) for name in route.__dataclass_fields__}


async def response(serving: LocalReplica, timeout: float = 5.0) -> bytes:
    """Score one request and write its response as the gateway does. Raises ScoringError."""
    deadline = asyncio.get_running_loop().time() + timeout
    scored = await serving.score(ScoreRequest("r", JsonPayload([1]), None), deadline)
    return AzureCodec().encode(scored.result, None, MAX_BYTES).body


async def attacked(folder: Path, forge: Forge, faults: list[str]) -> tuple[ScoringError, float]:
    """Return the outcome of a request to the forging worker, and the longest answer time of the honest worker."""
    slowest = 0.0
    async with (
        fake_worker(folder, "evil", forge) as evil,
        fake_worker(folder, "good", answer(b"[1]")) as good,
        replica(evil, faults) as attacking,
        replica(good, faults) as honest,
    ):
        assert await response(honest) == b"[1]"
        attack = asyncio.ensure_future(response(attacking))
        while not attack.done():
            started = time.perf_counter()
            assert await response(honest) == b"[1]"
            slowest = max(slowest, time.perf_counter() - started)
            await asyncio.sleep(0.005)
    outcome = attack.exception()
    assert isinstance(outcome, ScoringError), outcome or attack.result()[:100]
    return outcome, slowest


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short path, for sockets."""
    return tmp_path_factory.mktemp("w")


class TestForgedAnswers:
    @pytest.mark.parametrize("name", FORGED)
    def test_request_fails_and_another_deployment_answers(self, folder: Path, name: str) -> None:
        faults: list[str] = []
        outcome, slowest = asyncio.run(attacked(folder, FORGED[name], faults))
        # Refused when read, not when written: writing has a cost already.
        assert outcome.code in {"InternalServerError", "ModelError"}
        assert len(outcome.message) < 5000
        outcome.message.encode("utf-8")
        assert "\0" not in outcome.message
        assert slowest < 2.0
        assert not faults

    @pytest.mark.parametrize("name", BREAKING)
    def test_worker_is_disconnected_and_reported_and_another_deployment_answers(self, folder: Path, name: str) -> None:
        faults: list[str] = []
        outcome, slowest = asyncio.run(attacked(folder, BREAKING[name], faults))
        assert outcome.code == "WorkerDied"
        assert slowest < 2.0
        assert faults
        assert all("broke the protocol" in fault and len(fault) < 500 for fault in faults)


class TestHonestAnswers:
    @pytest.mark.parametrize(
        ("forge", "text"),
        [
            (array([2, 0]), b"[[],[]]"),
            (array([0, 3]), b"[]"),
            (array([3], bytes(24)), b"[0.0,0.0,0.0]"),
            (array([2], b"\x01\x07", dtype="|b1"), b"[true,true]"),
            (table(2), b"[{},{}]"),
            (table(1, DOUBLE), b'[{"x":0.0}]'),
            (answer(b"18446744073709551617"), b"18446744073709551617"),
            (answer(b"[" * 900 + b"]" * 900), b"[" * 900 + b"]" * 900),
        ],
    )
    def test_unusual_result_is_answered(self, folder: Path, forge: Forge, text: bytes) -> None:
        async def score() -> bytes:
            async with fake_worker(folder, "good", forge) as route, replica(route, []) as serving:
                return await response(serving)

        assert asyncio.run(score()) == text

    def test_frame_that_arrives_in_pieces_is_no_fault(self, folder: Path) -> None:
        faults: list[str] = []

        async def score() -> list[bytes]:
            async with (
                fake_worker(folder, "good", answer(b'"' + b"a" * 900_000 + b'"')) as route,
                replica(route, faults) as serving,
            ):
                answers = [await response(serving) for _ in range(3)]
                await asyncio.sleep(1.5 * FRAME_SECONDS)
                return answers

        assert [len(body) for body in asyncio.run(score())] == [900_002] * 3
        assert not faults


class TestWrittenAnswer:
    @pytest.mark.parametrize(
        "forge",
        [
            table(5000, {"name": "n" * 4000, "type": "boolean", "data": [0, 5000]}, body=bytes(5000)),
            array([50_000] + [1] * 31, bytes(50_000), dtype="|b1"),
            answer(b"[" + b"1," * 600_000 + b"1]"),
        ],
        ids=["long column names", "many dimensions", "frame over the limit"],
    )
    def test_small_frame_with_a_large_text_is_refused(self, folder: Path, forge: Forge) -> None:
        outcome, _ = asyncio.run(attacked(folder, forge, []))
        assert outcome.code in {"ResultTooLarge", "WorkerDied"}
