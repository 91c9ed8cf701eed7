"""Compressed bodies, both ways: gzip and deflate, with zlib's header or without.

A body has one coding, and is decompressed piece by piece, never beyond the limit of a body and the gateway's budget for
all bodies. An answer is compressed for a caller that accepts compression, where compression pays. Long work runs in a
thread.
"""

import asyncio
import re
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from data_plane.gateway.body_budget import BodyShare
from data_plane.gateway.errors import BodyTooLarge, UnsupportedCoding
from data_plane.gateway.request import Request
from data_plane.gateway.response import Response
from data_plane.scoring.errors import InvalidBody

# By zlib's `wbits`.
_GZIP, _ZLIB, _RAW = 31, 15, -15
_WBITS = {b"gzip": _GZIP, b"deflate": _ZLIB}
_SAME = {b"x-gzip": b"gzip"}
# More gzip members only serve to keep the gateway busy.
_MOST_MEMBERS = 10_000
# zlib copies the input behind the end of a stream; a piece bounds that copy.
_PIECE = 64 << 10
# Decompressed bytes are counted before the next piece is decompressed.
_DECOMPRESSED_PIECE = 1 << 20

# Sizes that take a millisecond or two. A compressed body can grow a thousandfold.
_LARGEST_COMPRESSED_ON_THE_LOOP = 4 << 10
_LARGEST_ANSWER_ON_THE_LOOP = 128 << 10

_WEIGHT = re.compile(rb"0(\.\d*)?|1(\.0*)?")
# A smaller answer fits one packet anyway.
_SMALLEST_TO_COMPRESS = 1 << 10
# The quickest level; slower levels take several times as long for a tenth less.
_LEVEL = 1
_WORTH_IT = 0.9
_VARY = (b"vary", b"accept-encoding")


# Requests.


def coding_of(request: Request) -> bytes | None:
    """Return the coding of the body. None: uncompressed. Raises UnsupportedCoding, also for several codings."""
    header = request.content_encoding
    if header is None:
        return None
    named = [name.strip() for name in header.lower().split(b",")]
    codings = [_SAME.get(name, name) for name in named if name not in {b"", b"identity"}]
    if len(codings) > 1 or any(coding not in _WBITS for coding in codings):
        raise UnsupportedCoding(b", ".join(codings).decode("latin-1"))
    return codings[0] if codings else None


async def decompressed(body: bytes, coding: bytes, largest: int, share: BodyShare) -> bytes:
    """Return the decompressed body. Raises BodyTooLarge beyond `largest` bytes, BodiesFull and InvalidBody."""
    if not body:
        return body
    if len(body) > _LARGEST_COMPRESSED_ON_THE_LOOP:
        return await asyncio.to_thread(_decompress, body, coding, largest, share.take_in_thread)
    return _decompress(body, coding, largest, share.take)


def _decompress(body: bytes, coding: bytes, largest: int, take: Callable[[int], None]) -> bytes:
    output = _Output(largest, take)
    try:
        if coding == b"gzip":
            _gunzip(body, output)
        else:
            _inflate(body, output)
    except (zlib.error, EOFError) as error:
        raise InvalidBody(
            f"the body is not {coding.decode()}, although its Content-Encoding says so: {error}"
        ) from None
    return b"".join(output.pieces)


class _Output:
    """Decompressed pieces, bounded."""

    def __init__(self, largest: int, take: Callable[[int], None]) -> None:
        self.pieces: list[bytes] = []
        self._largest = largest
        self._left = largest
        self._take = take

    def append(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise BodyTooLarge(self._largest)
        self._take(len(piece))
        self.pieces.append(piece)


def _gunzip(compressed: bytes, output: _Output) -> None:
    """Join all members of a gzip file. Zeros may pad the last member."""
    members, rest = 0, memoryview(compressed)
    while _has_more(rest):
        if members == _MOST_MEMBERS:
            raise EOFError(f"more than {_MOST_MEMBERS} members")
        rest = _one(rest, _GZIP, output)
        members += 1


def _has_more(rest: memoryview) -> bool:
    return bool(rest) and (rest[0] != 0 or any(rest))


def _inflate(compressed: bytes, output: _Output) -> None:
    """Read zlib's format, HTTP's meaning of deflate, or the raw deflate of some senders."""
    if _one(memoryview(compressed), _ZLIB if _has_zlib_header(compressed) else _RAW, output):
        raise EOFError("bytes follow the end of the stream")


def _has_zlib_header(compressed: bytes) -> bool:
    return (
        len(compressed) > 1
        and compressed[0] & 0x0F == zlib.DEFLATED
        and int.from_bytes(compressed[:2], "big") % 31 == 0
    )


def _one(compressed: memoryview, wbits: int, output: _Output) -> memoryview:
    """Decompress a stream. Returns the bytes behind its end."""
    stream = zlib.decompressobj(wbits)
    at = 0
    pending: memoryview | bytes = b""
    is_more_inside = False
    while not stream.eof:
        if not pending and not is_more_inside:
            if at == len(compressed):
                raise EOFError("the stream is cut off")
            pending = compressed[at : at + _PIECE]
            at += len(pending)
        piece = stream.decompress(pending, _DECOMPRESSED_PIECE)
        pending = stream.unconsumed_tail
        # zlib may have taken all input and still hold output.
        is_more_inside = len(piece) == _DECOMPRESSED_PIECE
        output.append(piece)
    return compressed[at - len(stream.unused_data) :]


# Answers.


class _Accepted(NamedTuple):
    coding: bytes | None
    """None: uncompressed."""
    must_be_compressed: bool = False


def may_be_compressed(response: Response, request: Request) -> bool:
    """Whether `compressed` may change the response: seldom for a small one."""
    return len(response.body) >= _SMALLEST_TO_COMPRESS or request.accept_encoding is not None


async def compressed(response: Response, request: Request) -> Response:
    """Compress the response where compression pays and the caller accepts it."""
    is_large = len(response.body) >= _SMALLEST_TO_COMPRESS
    header = request.accept_encoding
    if header is None:
        return _varying(response) if is_large else response
    accepted = _accepted(header)
    if accepted.coding is None or not (is_large or (accepted.must_be_compressed and response.body)):
        return _varying(response) if is_large else response
    if len(response.body) > _LARGEST_ANSWER_ON_THE_LOOP:
        body = await asyncio.to_thread(_compress, response.body, accepted.coding)
    else:
        body = _compress(response.body, accepted.coding)
    if len(body) > _WORTH_IT * len(response.body) and not accepted.must_be_compressed:
        return _varying(response)
    return response._replace(body=body, headers=[*response.headers, (b"content-encoding", accepted.coding), _VARY])


def _varying(response: Response) -> Response:
    return response._replace(headers=[*response.headers, _VARY])


def _compress(body: bytes, coding: bytes) -> bytes:
    return zlib.compress(body, _LEVEL, _WBITS[coding])


# Clients send few different headers.
@lru_cache(maxsize=64)
def _accepted(header: bytes) -> _Accepted:
    weights = dict(map(_weighted, header.lower().split(b",")))
    others = weights.get(b"*", 0.0)
    plain = weights.get(b"identity", 0.0 if b"*" in weights and not others else None)
    best = max(_WBITS, key=lambda coding: weights.get(coding, others))
    weight = weights.get(best, others)
    if not weight or (plain is not None and plain > weight):
        return _Accepted(None)
    return _Accepted(best, must_be_compressed=plain == 0)


def _weighted(element: bytes) -> tuple[bytes, float]:
    name, _, parameter = element.partition(b";")
    name = _SAME.get(name.strip(), name.strip())
    key, _, value = parameter.partition(b"=")
    if key.strip() != b"q":
        return name, 1.0
    return name, float(value) if _WEIGHT.fullmatch(value.strip()) else 0.0
