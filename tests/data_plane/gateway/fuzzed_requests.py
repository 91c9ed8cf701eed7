"""Fuzzed requests: valid requests of each protocol with random changes, and bytes that are hardly HTTP."""

import gzip
import io
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from hypothesis import strategies as st

from tests.data_plane.gateway.gateway_process import KEY

Headers = list[tuple[bytes, bytes]]

DEPLOYMENTS = ("columns", "nested", "tensor", "undeclared")


@dataclass(frozen=True)
class Fuzzed:
    method: bytes
    target: bytes
    headers: Headers
    body: bytes
    announced: int | None
    """The Content-Length; None for a body in chunks."""

    def to_bytes(self) -> bytes:
        framing = (
            (b"Transfer-Encoding", b"chunked")
            if self.announced is None
            else (b"Content-Length", b"%d" % self.announced)
        )
        lines = [b"%b: %b" % header for header in [(b"Host", b"x"), *self.headers, framing]]
        head = b"\r\n".join([b"%b %b HTTP/1.1" % (self.method, self.target), *lines])
        return head + b"\r\n\r\n" + (_chunked(self.body) if self.announced is None else self.body)


def _chunked(body: bytes) -> bytes:
    middle = len(body) // 2
    return (
        b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:middle], body[middle:]) if part) + b"0\r\n\r\n"
    )


# Values and bodies.

_WORDS = st.sampled_from(
    [
        "input_data",
        "columns",
        "index",
        "data",
        "params",
        "dataframe_split",
        "dataframe_records",
        "instances",
        "inputs",
        "messages",
        "prompt",
        "id",
        "name",
        "shape",
        "datatype",
        "parameters",
        "outputs",
        "content_type",
        "binary_data",
        "binary_data_size",
        "alcohol",
        "acidity",
        "points",
        "weights",
        "k",
        "BYTES",
        "FP64",
        "INT8",
        "",
        "\ud800",
        "\0",
    ]
)
_NUMBERS = st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400, 1e308, 5e-324, float("nan"), float("inf"), 0.1, -0.0])
_TEXTS = st.sampled_from(
    ["", "63", "1e999", "true", "2024-05-31T00:00:00Z", "9999-12-31", "AAAA", "NaN", "ä\u2028", "\udfff"]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | _NUMBERS | _TEXTS | _WORDS
_KEYS = _WORDS | st.text(max_size=5)


def _parts(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4)


_VALUES = st.recursive(_LEAVES, _parts, max_leaves=12) | st.integers(50, 3000).map(lambda depth: _nested(depth))


def _nested(depth: int) -> Any:
    value: Any = 1
    for level in range(min(depth, 900)):
        value = [value] if level % 2 else {"a": value}
    return value


_SPLIT = {"columns": ["alcohol", "acidity"], "index": [0, 1], "data": [[1.5, 2], [None, 4]]}
_ROWS: list[Any] = [
    _SPLIT,
    [{"alcohol": 1, "acidity": 2}],
    [[1.0, 2.0], [3, 4]],
    {"alcohol": [1, 2], "acidity": [3, 4]},
    [{"points": [{"x": 1.5, "unit": "m"}], "weights": {"a": [1]}, "day": "2024-05-31", "raw": "AAAA", "ok": True}],
    {"messages": [{"role": "user", "content": "why?"}]},
]
_WRAPPERS = ["dataframe_split", "dataframe_records", "instances", "inputs", "messages"]


def _tensor(datatype: str, data: Any, shape: list[int], **more: Any) -> dict[str, Any]:
    return {"name": "alcohol", "datatype": datatype, "shape": shape, "data": data, **more}


_INFER: list[Any] = [
    {"id": "1", "inputs": [_tensor("FP64", [1, 2], [2]), {**_tensor("FP32", [1, 2], [2]), "name": "acidity"}]},
    {"inputs": [_tensor("FP32", [[1, 2]], [1, 2])], "parameters": {"k": 2}, "outputs": [{"name": "predict"}]},
    {"inputs": [_tensor("BYTES", ["a", "b"], [2, 1], parameters={"content_type": "base64"})]},
    {"inputs": [_tensor("INT64", [2**63 - 1], [1])], "parameters": {"binary_data_output": True, "content_type": "pd"}},
]


@st.composite
def _changed(draw: st.DrawFn, document: Any) -> Any:
    """Replace or rename a part of the document, most of the time."""
    if draw(st.sampled_from([False, False, True])):
        return draw(_VALUES)
    if isinstance(document, dict) and document:
        name = draw(st.sampled_from(sorted(document)))
        renamed = draw(_KEYS) if draw(st.integers(0, 5)) == 0 else name
        return {**{k: v for k, v in document.items() if k != name}, renamed: draw(_changed(document[name]))}
    if isinstance(document, list) and document:
        at = draw(st.integers(0, len(document) - 1))
        return [*document[:at], draw(_changed(document[at])), *document[at + 1 :]]
    return document


@st.composite
def _json(draw: st.DrawFn, documents: list[Any]) -> bytes:
    document = draw(st.sampled_from(documents))
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 1, 2]))):
        document = draw(_changed(document))
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    return text.encode(errors="surrogatepass")


@st.composite
def _damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Cut, extend or repeat a part of the bytes; most of the time, change nothing."""
    at, to = sorted(draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    match draw(st.sampled_from(range(16))):
        case 0:
            return whole[:at]
        case 1:
            return whole[:at] + whole[to:]
        case 2:
            return whole[:at] + draw(st.binary(max_size=9)) + whole[at:]
        case 3:
            return whole[:to] + whole[at:to] * draw(st.integers(1, 50)) + whole[to:]
        case _:
            return whole


# A strategy for each kind of request: (target, headers, body).

Kind = st.SearchStrategy[tuple[bytes, Headers, bytes]]
_APPLICATION_JSON = (b"Content-Type", b"application/json")


@st.composite
def _score(draw: st.DrawFn) -> tuple[bytes, Headers, bytes]:
    documents = [{"input_data": rows, **more} for rows in _ROWS for more in ({}, {"params": {"k": 3}})]
    return b"/wines/score", [_APPLICATION_JSON], draw(_json(documents))


@st.composite
def _invocations(draw: st.DrawFn) -> tuple[bytes, Headers, bytes]:
    documents = [{wrapper: rows, "params": {"k": 3}} for rows in _ROWS for wrapper in _WRAPPERS]
    return b"/wines/invocations", [_APPLICATION_JSON], draw(_json(documents))


@st.composite
def _csv(draw: st.DrawFn) -> tuple[bytes, Headers, bytes]:
    cells = st.one_of(_TEXTS, st.text(max_size=6), st.sampled_from(['"', ",", "\r", "\r\n", '"a,b"', "1.5", "nan"]))
    rows = draw(st.lists(st.lists(cells, min_size=1, max_size=4).map(",".join), max_size=5))
    header = draw(st.sampled_from(["alcohol,acidity", "acidity,alcohol,more", "a", "", '"a\nb",a', "alcohol,alcohol"]))
    text = draw(st.sampled_from(["\n", "\r\n"])).join([header, *rows]).encode(errors="surrogatepass")
    return b"/wines/invocations", [(b"Content-Type", b"text/csv")], text


def _written_parquet() -> bytes:
    file = io.BytesIO()
    pd.DataFrame({"alcohol": [1.5, 2.0], "acidity": [3, 4], "word": ["a", None]}).to_parquet(file)
    return file.getvalue()


PARQUET = _written_parquet()


def _parquet() -> Kind:
    return st.just((b"/wines/invocations", [(b"Content-Type", b"application/vnd.apache.parquet")], PARQUET))


@st.composite
def _infer(draw: st.DrawFn) -> tuple[bytes, Headers, bytes]:
    body = draw(_json(_INFER))
    headers = [_APPLICATION_JSON]
    if draw(st.booleans()):
        length = draw(st.sampled_from([len(body), len(body) - 1, 0, -1, 10**30]))
        headers.append((b"Inference-Header-Content-Length", b"%d" % length))
        body += draw(st.binary(max_size=40))
    model = draw(st.sampled_from([b"wine", b"wines", b"tensor", b"undeclared", b"no%20such", b"%ff%00"]))
    version = draw(st.sampled_from([b"", b"", b"/versions/1", b"/versions/", b"/versions/x/y"]))
    return b"/wines/v2/models/" + model + version + b"/infer", headers, body


@st.composite
def _elsewhere(draw: st.DrawFn) -> tuple[bytes, Headers, bytes]:
    known = [
        "",
        "/",
        "/swagger.json?version=",
        "/ping",
        "/version",
        "/v2",
        "/v2/health/ready",
        "/v2/models/wine",
        "/score",
    ]
    known += ["/v2/repository/index", "/v2/models/a/b", "/invocations"]
    path = draw(st.sampled_from(["/wines", "/wines", "//", "/nobody", "/"])) + draw(st.sampled_from(known))
    odd = st.binary(max_size=12).map(lambda raw: b"".join(b"%c" % byte for byte in raw if 0x21 <= byte < 0x7F))
    return path.encode() + draw(odd), [], draw(st.binary(max_size=20))


@st.composite
def _bytes(draw: st.DrawFn) -> tuple[bytes, Headers, bytes]:
    target = draw(st.sampled_from([b"/wines/score", b"/wines/invocations", b"/wines/v2/models/wine/infer"]))
    media = draw(st.sampled_from([b"application/json", b"text/csv", b"application/vnd.apache.parquet", b"a/b", b""]))
    return target, [(b"Content-Type", media)], draw(st.binary(max_size=300))


# The number of entries is the frequency: a Parquet file costs as much as many other requests.
_KINDS: list[Callable[[], Kind]] = (
    [_score] * 9 + [_invocations] * 9 + [_infer] * 9 + [_csv] * 5 + [_elsewhere, _bytes] * 3 + [_parquet]
)


# Headers.

_VALUE = st.binary(max_size=30).map(lambda raw: bytes(byte for byte in raw if byte not in b"\0\r\n" and byte != 0x7F))
_NAMES = st.text("abcdefghijklmnopqrstuvwxyz-_!#$%&'*+.^`|~0123456789", min_size=1, max_size=12).map(str.encode)
_OTHER_HEADERS = st.one_of(
    st.tuples(st.just(b"azureml-model-deployment"), st.sampled_from([*map(str.encode, DEPLOYMENTS), b"x", b"\xff"])),
    st.tuples(
        st.just(b"Accept-Encoding"), st.sampled_from([b"gzip", b"deflate;q=0.5", b"*;q=0", b"identity;q=0", b";;,q"])
    ),
    st.tuples(
        st.just(b"Content-Type"), st.sampled_from([b"application/json; charset=utf-16", b"text/csv", b"*/*"]) | _VALUE
    ),
    st.tuples(st.just(b"x-ms-client-request-id"), st.sampled_from([b"mine", b"\xe4", b"y" * 500]) | _VALUE),
    st.tuples(st.just(b"Content-Encoding"), st.sampled_from([b"gzip", b"deflate, gzip", b"br", b",", b"identity"])),
    st.tuples(
        st.just(b"Authorization"), st.sampled_from([b"Bearer no", b"Basic !!", b"Basic eDp4", b"Bearer"]) | _VALUE
    ),
    st.tuples(st.just(b"Inference-Header-Content-Length"), st.sampled_from([b"5", b"1e3", b"\xb2", b"-0"]) | _VALUE),
    st.tuples(st.just(b"Expect"), st.sampled_from([b"100-continue", b"200-ok"])),
    st.tuples(st.just(b"Connection"), st.sampled_from([b"close", b"keep-alive", b"Upgrade"])),
    st.tuples(st.just(b"Upgrade"), st.sampled_from([b"websocket", b"h2c"])),
    st.tuples(_NAMES, _VALUE),
    st.tuples(st.just(b"X-Long"), st.integers(1, 30_000).map(lambda length: b"x" * length)),
)
_METHODS = st.sampled_from([b"POST"] * 24 + [b"GET", b"HEAD", b"PUT", b"OPTIONS", b"PATCH"])
_READS = st.sampled_from([b"GET", b"GET", b"HEAD", b"POST", b"DELETE", b"OPTIONS"])
_PACKINGS: list[tuple[bytes, Callable[[bytes], bytes]]] = [(b"gzip", gzip.compress), (b"deflate", zlib.compress)]


@st.composite
def requests(draw: st.DrawFn) -> Fuzzed:
    kind = draw(st.sampled_from(_KINDS))
    target, headers, body = draw(kind())
    body = draw(_damaged(body))
    headers = [*headers, *draw(st.just([]) | st.lists(_OTHER_HEADERS, max_size=3))]
    if draw(st.sampled_from([False] * 7 + [True])):
        coding, pack = draw(st.sampled_from(_PACKINGS))
        headers, body = [*headers, (b"Content-Encoding", coding)], draw(_damaged(pack(body)))
    if draw(st.sampled_from([True] * 29 + [False])):
        headers = [(b"Authorization", f"Bearer {KEY}".encode()), *headers]
    method = draw(_READS if kind is _elsewhere else _METHODS)
    return Fuzzed(method, target, headers, body, draw(_announced(len(body))))


def _announced(length: int) -> st.SearchStrategy[int | None]:
    """Nearly always the truth, or a body in chunks."""
    return st.sampled_from([length] * 40 + [None] * 8 + [length + 1, max(0, length - 3), 10**12])


def broken() -> st.SearchStrategy[bytes]:
    """Bytes that are hardly HTTP: a request with a few changed bytes, or random bytes."""
    damaged = requests().flatmap(lambda request: _damaged(request.to_bytes())).filter(bool)
    return damaged | st.binary(min_size=1, max_size=200)
