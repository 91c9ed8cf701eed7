"""Many callers for a soak test: asyncio streams and prepared bytes, with a check of each answer."""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.data_plane.gateway.gateway_process import KEY

# Adds up its columns.
SCRIPT = """
    def init():
        pass

    def run(input_data, params=None):
        return (input_data["alcohol"] + input_data["acidity"]).to_numpy()
"""
_NUMBERS = 50
_LARGE = 500


@dataclass(frozen=True)
class Question:
    sent: bytes
    answer: bytes
    packed: bool = False
    status: int = 200

    def check(self, head: bytes, body: bytes) -> None:
        assert head.startswith(b"HTTP/1.1 %d" % self.status), (head, body)
        assert (gzip.decompress(body) if self.packed else body) == self.answer, (self.sent, head)


def questions() -> list[Question]:
    """Return questions of every kind with many numbers: an answer for another caller would be wrong."""
    return [make(float(number)) for number in range(_NUMBERS) for make in _KINDS]


def _post(path: str, body: bytes, *headers: str, media_type: str = "application/json") -> bytes:
    lines = [f"POST /wines{path} HTTP/1.1", "Host: x", f"Authorization: Bearer {KEY}", f"Content-Type: {media_type}"]
    return "\r\n".join([*lines, *headers, f"Content-Length: {len(body)}", "", ""]).encode() + body


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _predictions(values: list[float]) -> bytes:
    return b'{"predictions": %b}' % _compact(values)


def _split(n: float) -> Question:
    body = _compact({"input_data": {"columns": ["acidity", "alcohol"], "data": [[n, 1.5]]}})
    return Question(_post("/score", body), _compact([n + 1.5]))


def _records(n: float) -> Question:
    body = _compact({"input_data": [{"alcohol": n, "acidity": 2.0, "surplus": "x"}] * 3})
    return Question(_post("/score", body), _compact([n + 2] * 3))


def _large(n: float) -> Question:
    body = _compact({"input_data": [[n, 1.0]] * _LARGE})
    headers = "Content-Encoding: gzip", "Accept-Encoding: gzip"
    return Question(_post("/score", gzip.compress(body), *headers), _compact([n + 1] * _LARGE), packed=True)


def _invocations(n: float) -> Question:
    body = _compact({"inputs": {"alcohol": [n, 1.0], "acidity": [1.0, 1.0]}})
    return Question(_post("/invocations", body), _predictions([n + 1, 2.0]))


def _csv(n: float) -> Question:
    body = f"alcohol,acidity\n{n},4.5\n".encode()
    return Question(_post("/invocations", body, media_type="text/csv"), _predictions([n + 4.5]))


def _infer(n: float) -> Question:
    tensors = [{"name": name, "datatype": "FP64", "shape": [1], "data": [n]} for name in ("alcohol", "acidity")]
    body = _compact({"id": str(n), "inputs": tensors})
    described = {"name": "predict", "datatype": "FP64", "shape": [1, 1], "parameters": {"content_type": "np"}}
    output = {**described, "data": [2 * n]}
    answer = {"model_name": "wine", "model_version": "1", "id": str(n), "outputs": [output]}
    return Question(_post("/v2/models/wine/infer", body), _compact(answer))


def _refused(n: float) -> Question:
    message = f"column 'alcohol', row 0: expected double, got the text \"no {n}\""
    whole = f"the input does not fit the model's signature, a violation (see details): {message}"
    details = [{"code": "SignatureViolation", "message": message, "target": "alcohol"}]
    error = {"code": "SignatureViolation", "message": whole, "details": details}
    body = _compact({"input_data": [[f"no {n}", 1.0]]})
    return Question(_post("/score", body), _compact({"error": error, "message": whole}), status=400)


_KINDS: Sequence[Callable[[float], Question]] = (_split, _records, _large, _invocations, _csv, _infer, _refused)


class Soak:
    """Connections that send the next question after each answer."""

    def __init__(self, port: int, connections: int) -> None:
        self._port = port
        self._connections = connections
        self._questions = questions()

    async def ask(self, times: int) -> None:
        numbers = iter(range(times))
        await asyncio.gather(*(self._caller(numbers) for _ in range(self._connections)))

    async def _caller(self, numbers: Iterator[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            for number in numbers:
                question = self._questions[number % len(self._questions)]
                writer.write(question.sent)
                question.check(*await _answer(reader))
        finally:
            writer.close()
            await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    return head, await reader.readexactly(_length(head))


def _length(head: bytes) -> int:
    at = head.index(b"content-length: ") + len(b"content-length: ")
    return int(head[at : head.index(b"\r\n", at)])
